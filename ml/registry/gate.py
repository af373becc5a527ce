"""The gate: decides from its metrics whether a newly trained model is promoted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel


class Rule(BaseModel, frozen=True, extra="forbid"):
    """The requirements on one metric, measured with the recipe fitted before the test window."""

    metric: str
    better: Literal["higher", "lower"] | None = None
    """None for a metric that has limits only: a coverage can be too high and too low."""
    beats: Mapping[str, str] = {}
    """The baselines to beat: the display name of each, and the metric of the same run that holds its score."""
    at_least: float | None = None
    """Lower limit, for the data set that the limits were measured on."""
    at_most: float | None = None
    """Upper limit, for the same data set."""


class Check(BaseModel, frozen=True):
    """The result of one check: the measured value and the required one."""

    name: str
    passed: bool
    measured: float
    required: float


class Judgement(BaseModel, frozen=True):
    """The gate's decision, with the checks it rests on."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether there was at least one check, and all passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)


def judge(
    rules: Sequence[Rule], metrics: Mapping[str, float], champion: Mapping[str, float] | None, *, noise: float, limited: bool
) -> Judgement:
    """Judges a recipe by its metrics.

    champion: the same metrics of the champion's recipe, fitted at the same cutoff on the same data; None without a champion
    noise: the share by which a metric may be worse than the champion's: the measuring error of one window
    limited: whether the data set is the one that the rules' limits were measured on

    Raises `ValueError` if a metric that a rule names is missing.
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
    # An older champion may lack metrics that were introduced later.
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
