"""The gate: the judgement that decides whether a newly trained model is promoted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel


class Rule(BaseModel, frozen=True, extra="forbid"):
    """What is asked of one metric of a recipe that was fitted before the test window."""

    metric: str
    # Without it the metric is held to its limits alone, as a coverage is, which can be too high and too low.
    better: Literal["higher", "lower"] | None = None
    # The baselines to beat: what people call each, and the metric of the same run that is its.
    beats: Mapping[str, str] = {}
    # What holds on the data set that the limits were measured on.
    at_least: float | None = None
    at_most: float | None = None


class Check(BaseModel, frozen=True):
    """One check: what was measured, and what it was held against."""

    name: str
    passed: bool
    measured: float
    required: float


class Judgement(BaseModel, frozen=True):
    """What the gate found: the checks, in the order in which they were made."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether there were checks and every one was passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)


def judge(
    rules: Sequence[Rule], metrics: Mapping[str, float], champion: Mapping[str, float] | None, *, noise: float, limited: bool
) -> Judgement:
    """Judges a recipe by what was measured of it.

    champion: the same metrics of the champion's recipe, fitted at the same cutoff on the same data; none if there is no champion
    noise: by which share a metric may be worse than the champion's, since one window measures no finer
    limited: whether the data is that of the rules' limits

    Raises `ValueError` when a metric was not measured.
    """
    checks = [
        *(check for rule in rules for check in _against_baselines(rule, metrics)),
        *(check for rule in rules for check in _against_champion(rule, metrics, champion or {}, noise)),
        *(check for rule in rules if limited for check in _against_limits(rule, metrics)),
    ]
    return Judgement(checks=tuple(checks))


def _against_baselines(rule: Rule, metrics: Mapping[str, float]) -> Iterator[Check]:
    measured = _value(metrics, rule.metric)
    for name, metric in rule.beats.items():
        required = _value(metrics, metric)
        passed = measured < required if rule.better == "lower" else measured > required
        yield Check(name=f"{rule.metric} beats {name}", passed=passed, measured=measured, required=required)


def _against_champion(rule: Rule, metrics: Mapping[str, float], champion: Mapping[str, float], noise: float) -> Iterator[Check]:
    # A champion of an earlier time may not have been measured by all of today's metrics.
    if rule.better and rule.metric in champion:
        measured, lower = _value(metrics, rule.metric), rule.better == "lower"
        required = champion[rule.metric] * (1 + noise if lower else 1 - noise)
        passed = measured <= required if lower else measured >= required
        yield Check(name=f"{rule.metric} is no worse than the champion's", passed=passed, measured=measured, required=required)


def _against_limits(rule: Rule, metrics: Mapping[str, float]) -> Iterator[Check]:
    measured = _value(metrics, rule.metric)
    if (least := rule.at_least) is not None:
        yield Check(name=f"{rule.metric} is at least {least}", passed=measured >= least, measured=measured, required=least)
    if (most := rule.at_most) is not None:
        yield Check(name=f"{rule.metric} is at most {most}", passed=measured <= most, measured=measured, required=most)


def _value(metrics: Mapping[str, float], name: str) -> float:
    if name not in metrics:
        raise ValueError(f"the gate asks for {name}, which was not measured")
    return metrics[name]
