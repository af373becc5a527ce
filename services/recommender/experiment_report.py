"""What an experiment has shown: the arms' outcomes, compared."""

import math
from collections.abc import Mapping
from datetime import datetime

from hashiramart.recommender.v1 import experiments_pb2
from mesh.timestamps import timestamp
from ml.experiments import confidence_sequence
from ml.experiments.assignment import Arm
from ml.experiments.confidence_sequence import Interval, Moments
from ml.experiments.sample_ratio import sample_ratio_p_value
from services.recommender.experiments import Experiment, treatment_share
from services.recommender.repository.participants import ArmOutcome

# A split that is as improbable as this is taken for broken.
_MISMATCH = 0.01


def experiment_report(experiment: Experiment, through: datetime, outcomes: Mapping[Arm, ArmOutcome]) -> experiments_pb2.ExperimentReport:
    """The report of an experiment. through: the time at which windows were over that count"""
    control, treatment = outcomes[Arm.CONTROL], outcomes[Arm.TREATMENT]
    # Shoppers who were seen in both arms were assigned to the first one.
    p_value = float(
        sample_ratio_p_value(control.shoppers + control.mixed, treatment.shoppers + treatment.mixed, treatment_share(experiment))
    )
    is_broken = p_value < _MISMATCH
    return experiments_pb2.ExperimentReport(
        experiment_id=experiment.id,
        through_time=timestamp(through),
        control=_arm_report(control),
        treatment=_arm_report(treatment),
        mixed_shopper_count=control.mixed + treatment.mixed,
        conversion=_comparison(_conversion(control), _conversion(treatment), is_broken),
        revenue=_comparison(_revenue(control), _revenue(treatment), is_broken),
        sample_ratio_p_value=p_value,
        sample_ratio_mismatch=is_broken,
        champion_changed=_has_another_champion(experiment, control),
    )


def _has_another_champion(experiment: Experiment, control: ArmOutcome) -> bool:
    """Whether another champion than the first one has made lists of the control."""
    is_champion = bool(experiment.treatment_version) and not experiment.control_version
    return is_champion and any(version and version != experiment.champion_version for version in control.lists)


def _arm_report(outcome: ArmOutcome) -> experiments_pb2.ArmReport:
    shoppers = outcome.counted or 1
    return experiments_pb2.ArmReport(
        list_count=sum(outcome.lists.values()),
        shopper_count=outcome.shoppers,
        counted_shopper_count=outcome.counted,
        conversion_rate=outcome.converted / shoppers,
        revenue_cents_per_shopper=outcome.revenue / shoppers,
        unpriced_purchase_count=int(outcome.unpriced),
        versions=(experiments_pb2.VersionListCount(version=number, list_count=count) for number, count in sorted(outcome.lists.items())),
    )


def _conversion(outcome: ArmOutcome) -> Moments:
    return confidence_sequence.moments(outcome.counted, outcome.converted, outcome.converted)


def _revenue(outcome: ArmOutcome) -> Moments:
    return confidence_sequence.moments(outcome.counted, outcome.revenue, outcome.revenue_squared)


def _comparison(control: Moments, treatment: Moments, is_broken: bool) -> experiments_pb2.MetricComparison:
    difference = confidence_sequence.difference(control, treatment)
    verdict = experiments_pb2.EXPERIMENT_VERDICT_UNDECIDED
    if difference.lower > 0 and not is_broken:
        verdict = experiments_pb2.EXPERIMENT_VERDICT_TREATMENT_BETTER
    elif difference.upper < 0 and not is_broken:
        verdict = experiments_pb2.EXPERIMENT_VERDICT_TREATMENT_WORSE
    lift = confidence_sequence.lift(control, treatment)
    return experiments_pb2.MetricComparison(
        difference=_estimate(difference),
        lift=_estimate(lift) if math.isfinite(lift.lower) else None,
        verdict=verdict,
    )


def _estimate(interval: Interval) -> experiments_pb2.Estimate:
    estimate = experiments_pb2.Estimate(value=0.0 if math.isnan(interval.value) else float(interval.value))
    if math.isfinite(interval.lower):
        estimate.lower, estimate.upper = float(interval.lower), float(interval.upper)
    return estimate
