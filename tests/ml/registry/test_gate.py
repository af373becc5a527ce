"""The gate lets a recipe pass that beats the baselines, is no worse than the champion, and holds the limits where there are any."""

from collections.abc import Mapping

import pytest

from ml.registry.gate import Judgement, Rule, judge

HIGHER = Rule(metric="ndcg", better="higher", beats={"popularity": "popularity.ndcg"}, at_least=0.35)
LOWER = Rule(metric="mase", better="lower", beats={"the naive": "naive.mase"}, at_most=0.9)
COVERAGE = Rule(metric="cov80", at_least=0.75, at_most=0.85)
GOOD = {"ndcg": 0.37, "popularity.ndcg": 0.14, "mase": 0.8, "naive.mase": 1.2, "cov80": 0.8}


def judged(metrics: Mapping[str, float], champion: Mapping[str, float] | None = None, *, limited: bool = True) -> Judgement:
    return judge([HIGHER, LOWER, COVERAGE], {**GOOD, **metrics}, champion, noise=0.02, limited=limited)


def failures(judgement: Judgement) -> list[str]:
    return [check.name for check in judgement.checks if not check.passed]


def test_a_good_recipe_passes() -> None:
    judgement = judged({}, champion=GOOD)
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
    judgement = judged(metrics)
    assert failed in failures(judgement)
    assert not judgement.passed


@pytest.mark.parametrize(("ndcg", "mase"), [(0.363, 0.8), (0.37, 0.815)])
def test_a_little_worse_than_the_champion_is_noise(ndcg: float, mase: float) -> None:
    assert judged({"ndcg": ndcg, "mase": mase}, champion=GOOD).passed


def test_much_worse_than_the_champion_is_not() -> None:
    assert failures(judged({"ndcg": 0.36}, champion=GOOD)) == ["ndcg is no worse than the champion's"]
    assert failures(judged({"mase": 0.82}, champion=GOOD)) == ["mase is no worse than the champion's"]


def test_any_coverage_is_as_good_as_the_champions_within_the_limits() -> None:
    assert judged({"cov80": 0.76}, champion=GOOD).passed


def test_what_the_champion_was_not_measured_by_is_not_held_against_it() -> None:
    assert judged({}, champion={"ndcg": 0.37}).passed


def test_the_limits_hold_on_their_own_data_alone() -> None:
    assert judged({"ndcg": 0.2, "mase": 1.1, "cov80": 0.5}, limited=False).passed


def test_a_check_says_what_was_measured_and_what_was_required() -> None:
    champion = {"ndcg": 0.4}
    found = {check.name: (check.measured, check.required) for check in judged({}, champion).checks}
    assert found["ndcg beats popularity"] == (0.37, 0.14)
    assert found["ndcg is no worse than the champion's"] == pytest.approx((0.37, 0.392))
    assert found["ndcg is at least 0.35"] == (0.37, 0.35)


def test_what_was_not_measured_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="the gate asks for ndcg, which was not measured"):
        judge([HIGHER], {}, None, noise=0.02, limited=False)


def test_no_checks_are_no_pass() -> None:
    assert not judge([COVERAGE], GOOD, None, noise=0.02, limited=False).passed
