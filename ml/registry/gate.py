"""The gate: decides from its metrics whether a newly trained model is promoted."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel

from ml.registry.judgement import Check, Judgement

# The scores of single users or series: by metric, then id.
ScoresById = Mapping[str, Mapping[str, float]]


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


def judge(
    rules: Sequence[Rule],
    metrics: Mapping[str, float],
    champion: Mapping[str, float] | None,
    *,
    noise: float,
    limited: bool,
    scores: tuple[ScoresById, ScoresById] = ({}, {}),
) -> Judgement:
    """Judges a recipe by its metrics.

    champion: the same metrics of the champion's recipe, fitted at the same cutoff on the same data; None without a champion
    noise: the share by which a metric may be worse than the champion's: the measuring error of one window
    limited: whether the data set is the one that the rules' limits were measured on
    scores: of the recipe and of the champion's, by user or series: where both have them, in the test or in the validation window, a paired
        bootstrap decides whether the recipe is worse, and not the noise

    What was not measured, such as the score of first-time buyers in a shop that had none, is noted and not compared.
    """
    measured = [rule for rule in rules if rule.metric in metrics]
    checks = [
        *(check for rule in measured for check in _against_baselines(rule, metrics)),
        *(check for rule in measured for check in _against_champion(rule, metrics, champion or {}, noise, scores)),
        *(check for rule in measured if limited for check in _against_limits(rule, metrics)),
    ]
    return Judgement(checks=tuple(checks), notes=tuple(_missing(rules, metrics, champion)))


def check_age(data_through: date, champion_data_through: date) -> Check:
    """Whether the data of a recipe ends no earlier than the champion's: of two trainings, the one that ends last may have begun first."""
    days = (data_through - champion_data_through).days
    return Check(name="days from the end of the champion's data to that of this data", passed=days >= 0, measured=days, required=0)


def _missing(rules: Sequence[Rule], metrics: Mapping[str, float], champion: Mapping[str, float] | None) -> Iterator[str]:
    """What the rules ask for and nobody measured."""
    for rule in rules:
        if rule.metric not in metrics:
            yield f"{rule.metric} was not measured on this data, and is not compared"
            continue
        for name, metric in rule.beats.items():
            if metric not in metrics:
                yield f"{rule.metric} is not compared with {name}, of which {metric} was not measured"
        if rule.better and champion is not None and rule.metric not in champion:
            yield f"{rule.metric} is not compared with the champion's, which was not measured"


def _against_baselines(rule: Rule, metrics: Mapping[str, float]) -> Iterator[Check]:
    measured = metrics[rule.metric]
    for name, metric in rule.beats.items():
        if metric not in metrics:
            continue
        required = metrics[metric]
        passed = measured < required if rule.better == "lower" else measured > required
        yield Check(name=f"{rule.metric} beats {name}", passed=passed, measured=measured, required=required)


def _against_champion(
    rule: Rule, metrics: Mapping[str, float], champion: Mapping[str, float], noise: float, scores: tuple[ScoresById, ScoresById]
) -> Iterator[Check]:
    if pairs := list(_compare_pairs(rule, scores)):
        yield from pairs
        return
    # An older champion may lack metrics that were introduced later.
    if rule.better and rule.metric in champion:
        measured, lower = metrics[rule.metric], rule.better == "lower"
        required = champion[rule.metric] * (1 + noise if lower else 1 - noise)
        passed = measured <= required if lower else measured >= required
        yield Check(name=f"{rule.metric} is no worse than the champion's", passed=passed, measured=measured, required=required)


def _compare_pairs(rule: Rule, scores: tuple[ScoresById, ScoresById]) -> Iterator[Check]:
    """Whether the scores of the same users or series are worse than the champion's, in each window that both were measured in."""
    # Imported here: services read judgements, and have no NumPy.
    from ml.registry.paired import paired_difference

    own, champion = scores
    for metric in (rule.metric, rule.metric.replace("test.", "validation.", 1)):
        if rule.better is None or metric not in own or metric not in champion:
            continue
        difference = paired_difference(own[metric], champion[metric], rule.better)
        if difference is not None:
            name = f"{metric} is not worse than the champion's, of {difference.pairs} pairs"
            yield Check(name=name, passed=difference.upper >= 0, measured=difference.upper, required=0.0)


def _against_limits(rule: Rule, metrics: Mapping[str, float]) -> Iterator[Check]:
    measured = metrics[rule.metric]
    if (least := rule.at_least) is not None:
        yield Check(name=f"{rule.metric} is at least {least}", passed=measured >= least, measured=measured, required=least)
    if (most := rule.at_most) is not None:
        yield Check(name=f"{rule.metric} is at most {most}", passed=measured <= most, measured=measured, required=most)
