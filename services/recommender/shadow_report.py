"""What lists that nobody was shown would have earned, beside those that were: those of a version in shadow, or of a slot as it is to be."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from hashiramart.recommender.v1 import experiments_pb2, shadows_pb2
from ml.experiments.off_policy import LEAST_LISTS, LoggedLists, Numbers, PolicyValue, doubly_robust_value, self_normalised_value
from ml.experiments.reward_model import NO_PRODUCT, Products, predict_rewards
from services.recommender.repository.shadow_lists import ListPair, Reward, ShadowSummary

_Report: TypeAlias = shadows_pb2.ShadowReport | shadows_pb2.SlotEstimate


def add_summary(report: shadows_pb2.ShadowReport, summary: ShadowSummary) -> None:
    """Adds to a report what is known of all lists of the version."""
    report.list_count, report.failed_list_count, report.last_error = summary.made, summary.failed, summary.last_error
    report.overlap = summary.overlap
    report.shown_latency.median_milliseconds, report.shown_latency.p95_milliseconds = summary.shown_median, summary.shown_p95
    report.latency.median_milliseconds, report.latency.p95_milliseconds = summary.median, summary.p95


def add_values(report: _Report, pairs: Sequence[ListPair], rewards: Mapping[tuple[str, str], Reward]) -> None:
    """Adds to a report what the lists that were shown and the others earn. Takes a second of CPU time for many lists."""
    if not pairs:
        return
    shape = len(pairs), max(max(len(pair.shown), len(pair.product_ids)) for pair in pairs)
    numbers: dict[str, int] = {}
    shown, made = (np.full(shape, NO_PRODUCT, np.int64) for _ in range(2))
    propensities, clicks, revenue = np.ones(shape), np.zeros(shape), np.zeros(shape)
    for row, pair in enumerate(pairs):
        for place, each in enumerate(pair.shown):
            shown[row, place] = numbers.setdefault(each.product_id, len(numbers))
            propensities[row, place] = each.propensity
            clicks[row, place], revenue[row, place] = rewards.get((pair.id, each.product_id), (False, 0.0))
        made[row, : len(pair.product_ids)] = [numbers.setdefault(id, len(numbers)) for id in pair.product_ids]
    shoppers = np.unique([pair.user_id for pair in pairs], return_inverse=True)[1]
    target = np.where((shown == made) & (shown != NO_PRODUCT), 1.0, 0.0)
    report.estimated_list_count = len(pairs)
    report.supported_share = min(float((target / propensities).sum() / max((made != NO_PRODUCT).sum(), 1)), 1.0)
    for reward, earned in ((shadows_pb2.SHADOW_REWARD_CLICKS, clicks), (shadows_pb2.SHADOW_REWARD_REVENUE, revenue)):
        log = LoggedLists(earned, propensities, shoppers.astype(np.int64))
        report.effective_list_count = _add_value(report, reward, log, target, shown, made)


def _add_value(
    report: _Report,
    reward: shadows_pb2.ShadowReward.ValueType,
    log: LoggedLists,
    target: Numbers,
    shown: Products,
    made: Products,
) -> float:
    """Adds the values of one kind of reward; returns the effective number of lists."""
    # The lists that were shown are those of a policy with their own propensities: each weight is 1.
    own = self_normalised_value(log, np.where(shown != NO_PRODUCT, log.propensities, 0.0))
    predicted = predict_rewards(log, shown, made)
    normalised = self_normalised_value(log, target)
    robust = doubly_robust_value(log, target, predicted.shown, predicted.of_policy.sum(1))
    report.values.add(
        reward=reward,
        shown=_estimate(own, len(shown)),
        self_normalised=_estimate(normalised, normalised.effective_lists),
        doubly_robust=_estimate(robust, normalised.effective_lists),
    )
    return normalised.effective_lists


def _estimate(value: PolicyValue, lists: float) -> experiments_pb2.Estimate:
    estimate = experiments_pb2.Estimate(value=value.value)
    if lists >= LEAST_LISTS and math.isfinite(value.lower):
        estimate.lower, estimate.upper = value.lower, value.upper
    return estimate
