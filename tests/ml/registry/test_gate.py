"""A recipe passes the gate if it beats the baselines, is no worse than the champion, and keeps the limits."""

from collections.abc import Mapping

import numpy as np
import pytest

from ml.registry.gate import Rule, judge
from ml.registry.judgement import Judgement

HIGHER = Rule(metric="ndcg", better="higher", beats={"popularity": "popularity.ndcg"}, at_least=0.35)
LOWER = Rule(metric="mase", better="lower", beats={"the naive": "naive.mase"}, at_most=0.9)
COVERAGE = Rule(metric="cov80", at_least=0.75, at_most=0.85)
GOOD = {"ndcg": 0.37, "popularity.ndcg": 0.14, "mase": 0.8, "naive.mase": 1.2, "cov80": 0.8}


def judgement_of(metrics: Mapping[str, float], champion: Mapping[str, float] | None = None, *, limited: bool = True) -> Judgement:
    return judge([HIGHER, LOWER, COVERAGE], {**GOOD, **metrics}, champion, noise=0.02, limited=limited)


def failures(judgement: Judgement) -> list[str]:
    return [check.name for check in judgement.checks if not check.passed]


def test_a_good_recipe_passes() -> None:
    judgement = judgement_of({}, champion=GOOD)
    assert judgement.passed
    assert failures(judgement) == []


@pytest.mark.parametrize(
    ("metrics", "failed"),
    [
        ({"popularity.ndcg": 0.37}, "ndcg beats popularity"),
        ({"naive.mase": 0.8}, "mase beats the naive"),
        ({"ndcg": 0.349}, "ndcg is at least 0.35"),
        ({"mase": 0.91}, "mase is at most 0.9"),
        ({"cov80": 0.74}, "cov80 is at least 0.75"),
        ({"cov80": 0.86}, "cov80 is at most 0.85"),
        ({"ndcg": float("nan")}, "ndcg beats popularity"),
    ],
)
def test_one_failed_check_fails_the_recipe(metrics: Mapping[str, float], failed: str) -> None:
    judgement = judgement_of(metrics)
    assert failed in failures(judgement)
    assert not judgement.passed


@pytest.mark.parametrize(("ndcg", "mase"), [(0.363, 0.8), (0.37, 0.815)])
def test_slightly_worse_than_the_champion_passes(ndcg: float, mase: float) -> None:
    assert judgement_of({"ndcg": ndcg, "mase": mase}, champion=GOOD).passed


def test_much_worse_than_the_champion_fails() -> None:
    assert failures(judgement_of({"ndcg": 0.36}, champion=GOOD)) == ["ndcg is no worse than the champion's"]
    assert failures(judgement_of({"mase": 0.82}, champion=GOOD)) == ["mase is no worse than the champion's"]


def test_a_coverage_is_not_compared_with_the_champions() -> None:
    assert judgement_of({"cov80": 0.76}, champion=GOOD).passed


def test_a_metric_that_the_champion_lacks_is_not_compared() -> None:
    assert judgement_of({}, champion={"ndcg": 0.37}).passed


def test_the_limits_apply_to_their_own_data_set_only() -> None:
    assert judgement_of({"ndcg": 0.2, "mase": 1.1, "cov80": 0.5}, limited=False).passed


def test_a_check_has_the_measured_and_the_required_value() -> None:
    champion = {"ndcg": 0.4}
    found = {check.name: (check.measured, check.required) for check in judgement_of({}, champion).checks}
    assert found["ndcg beats popularity"] == (0.37, 0.14)
    assert found["ndcg is no worse than the champion's"] == pytest.approx((0.37, 0.392))
    assert found["ndcg is at least 0.35"] == (0.37, 0.35)


def test_what_was_not_measured_is_noted_and_not_compared() -> None:
    """As in a shop without first-time buyers."""
    first_time = Rule(metric="no_history.ndcg", better="higher", beats={"popularity": "no_history.popularity.ndcg"}, at_least=0.1)
    judgement = judge([HIGHER, first_time], GOOD, {"mase": 0.8}, noise=0.02, limited=True)
    assert judgement.passed
    assert judgement.notes == (
        "ndcg is not compared with the champion's, which was not measured",
        "no_history.ndcg was not measured on this data, and is not compared",
    )


def test_a_baseline_that_was_not_measured_is_noted() -> None:
    judgement = judge([HIGHER], {"ndcg": 0.37}, None, noise=0.02, limited=True)
    assert judgement.notes == ("ndcg is not compared with popularity, of which popularity.ndcg was not measured",)
    assert [check.name for check in judgement.checks] == ["ndcg is at least 0.35"]


def test_without_checks_nothing_passes() -> None:
    assert not judge([COVERAGE], GOOD, None, noise=0.02, limited=False).passed


def test_scores_of_the_same_users_decide_whether_a_recipe_is_worse() -> None:
    rng = np.random.default_rng(0)
    champion = {str(user): value for user, value in enumerate(rng.random(400))}
    better, worse, alike = ({user: value + shift for user, value in champion.items()} for shift in (0.01, -0.01, 0.0))
    noisy = {user: value + rng.normal(0, 0.2) for user, value in champion.items()}
    for scores, passes in ((better, True), (worse, False), (alike, True), (noisy, True)):
        judgement = judge([HIGHER], GOOD, GOOD, noise=0.0, limited=False, scores=({"ndcg": scores}, {"ndcg": champion}))
        assert judgement.passed == passes
        assert "ndcg is not worse than the champion's, of 400 pairs" in [check.name for check in judgement.checks]


def test_lower_scores_are_better_errors_and_validation_counts_too() -> None:
    rule = Rule(metric="test.mase", better="lower")
    champion = {str(series): 1.0 + series / 100 for series in range(50)}
    worse = {series: value + 0.1 for series, value in champion.items()}
    scores = {"test.mase": champion, "validation.mase": worse}, {"test.mase": champion, "validation.mase": champion}
    judgement = judge([rule], {"test.mase": 1.0}, {"test.mase": 1.0}, noise=0.0, limited=False, scores=scores)
    assert failures(judgement) == ["validation.mase is not worse than the champion's, of 50 pairs"]


def test_few_shared_users_leave_the_mean_to_decide() -> None:
    scores = {"ndcg": {"1": 0.1}}, {"ndcg": {"1": 0.9}}
    judgement = judge([HIGHER], GOOD, GOOD, noise=0.02, limited=False, scores=scores)
    assert judgement.passed
    assert "ndcg is no worse than the champion's" in [check.name for check in judgement.checks]
