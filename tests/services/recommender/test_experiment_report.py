"""A report says what its numbers allow."""

from datetime import UTC, datetime

from hashiramart.recommender.v1 import experiments_pb2
from ml.experiments.assignment import Arm
from services.recommender.experiment_report import experiment_report
from services.recommender.repository.participants import ArmOutcome

BETTER, WORSE = experiments_pb2.EXPERIMENT_VERDICT_TREATMENT_BETTER, experiments_pb2.EXPERIMENT_VERDICT_TREATMENT_WORSE
UNDECIDED = experiments_pb2.EXPERIMENT_VERDICT_UNDECIDED
NOBODY = ArmOutcome()
# Of 10,000 shoppers, 1,000 or 1,500 bought for 20.00 each.
POOR, RICH = (ArmOutcome(10_000, 0, 10_000, buyers, buyers * 2000, buyers * 2000**2) for buyers in (1000, 1500))


def report(control: ArmOutcome, treatment: ArmOutcome) -> experiments_pb2.ExperimentReport:
    experiment = experiments_pb2.Experiment(id="test", traffic_share=1)
    return experiment_report(experiment, datetime(2027, 1, 1, tzinfo=UTC), {Arm.CONTROL: control, Arm.TREATMENT: treatment})


def test_the_verdict_follows_from_the_interval() -> None:
    assert [report(*arms).revenue.verdict for arms in ((POOR, RICH), (RICH, POOR), (POOR, POOR))] == [BETTER, WORSE, UNDECIDED]
    found = report(POOR, RICH)
    assert found.conversion.verdict == BETTER
    assert found.revenue.difference.value == 100
    assert 0.3 < found.revenue.lift.lower < 0.5 < found.revenue.lift.upper < 0.75


def test_before_anybody_bought_there_is_neither_interval_nor_lift() -> None:
    found = report(NOBODY, NOBODY)
    assert found.sample_ratio_p_value == 1
    assert not found.revenue.difference.HasField("upper")
    assert not found.revenue.HasField("lift")


def test_nothing_is_decided_while_the_split_is_broken() -> None:
    found = report(POOR, RICH._replace(shoppers=8500, mixed=200, counted=8500))
    assert found.sample_ratio_mismatch
    assert found.revenue.verdict == UNDECIDED
    assert found.mixed_shopper_count == 200
