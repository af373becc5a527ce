"""Data quality: figures of each month of sales, and how a month differs from the months before it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Literal

from pydantic import BaseModel

# A month is compared with the mean of so many months before it.
BASELINE_MONTHS = 3
# A share of zero has no logarithm.
LEAST_SHARE = 1e-4
OTHER = ""

Measure = Literal[
    "lines_per_day",
    "reject_share",
    "missing_customer_share",
    "median_price",
    "basket_size",
    "new_product_share",
    "category_mix",
    "country_mix",
]


class MonthFigures(BaseModel, frozen=True):
    """What was measured of one month."""

    lines_per_day: float
    """Sale lines by day with sales, so that an incomplete month can be compared."""
    reject_share: float
    """Of all lines that are no duplicates, from 0 to 1."""
    missing_customer_share: float
    """The share of sale lines without a customer."""
    median_price: float
    """Of one unit, over sale lines."""
    basket_size: float
    """Sale lines by invoice."""
    new_product_share: float | None
    """The share of products sold that had no sale in the three months before; None where these are not known."""
    category_lines: dict[str, int]
    """Sale lines by category."""
    country_lines: dict[str, int]
    """Sale lines by country; those beyond the largest are under the empty name."""


class QualityWarning(BaseModel, frozen=True):
    """A month that differs from the months before it."""

    month: str
    measure: Measure
    value: float
    """The month's figure; for a mix, the population stability index."""
    baseline: float
    """The mean of the months before; for a mix, zero."""
    limit: float
    """What the difference, ratio or index should not exceed."""

    def sentence(self) -> str:
        """The warning in words."""
        if self.measure.endswith("_mix"):
            return f"{self.month}: the {self.measure.replace('_', ' ')} has changed, by an index of {self.value:.2f} (limit {self.limit:g})"
        return f"{self.month}: {self.measure.replace('_', ' ')} is {self.value:.4g}, and was {self.baseline:.4g} in the months before"


@dataclass(frozen=True)
class _Rule:
    """When a figure differs from its baseline by too much."""

    measure: Measure
    differs: Callable[[float, float], bool]
    limit: float


def _by_ratio(limit: float) -> Callable[[float, float], bool]:
    return lambda value, baseline: min(value, baseline) * limit < max(value, baseline)


def _by_points(limit: float) -> Callable[[float, float], bool]:
    return lambda value, baseline: abs(value - baseline) > limit


def _by_increase(limit: float) -> Callable[[float, float], bool]:
    return lambda value, baseline: value - baseline > limit


RULES = (
    _Rule("lines_per_day", _by_ratio(2), 2),
    _Rule("reject_share", _by_increase(0.05), 0.05),
    _Rule("missing_customer_share", _by_points(0.15), 0.15),
    _Rule("median_price", _by_ratio(1.5), 1.5),
    _Rule("basket_size", _by_ratio(2), 2),
    _Rule("new_product_share", _by_increase(0.3), 0.3),
)
# Above this, a population stability index is usually taken for a shift.
MIX_LIMIT = 0.25


def find_warnings(months: Mapping[str, MonthFigures]) -> tuple[QualityWarning, ...]:
    """The warnings of all months that have BASELINE_MONTHS of figures before them, by month."""
    names = sorted(months)
    return tuple(
        warning
        for place in range(BASELINE_MONTHS, len(names))
        for warning in _compare(names[place], months[names[place]], [months[name] for name in names[place - BASELINE_MONTHS : place]])
    )


def stability_index(actual: Mapping[str, int], expected: Mapping[str, int]) -> float:
    """The population stability index of two distributions, given as counts: 0 if they are equal."""
    totals = max(sum(actual.values()), 1), max(sum(expected.values()), 1)
    index = 0.0
    for name in sorted(actual.keys() | expected.keys()):
        share, usual = (max(counts.get(name, 0) / total, LEAST_SHARE) for counts, total in zip((actual, expected), totals, strict=True))
        index += (share - usual) * math.log(share / usual)
    return index


def _compare(name: str, month: MonthFigures, before: Sequence[MonthFigures]) -> Iterator[QualityWarning]:
    for rule in RULES:
        value, usual = getattr(month, rule.measure), [getattr(each, rule.measure) for each in before]
        known = [figure for figure in usual if figure is not None]
        if value is not None and known and rule.differs(value, mean(known)):
            yield QualityWarning(month=name, measure=rule.measure, value=value, baseline=mean(known), limit=rule.limit)
    mixes: tuple[tuple[Measure, str], ...] = (("category_mix", "category_lines"), ("country_mix", "country_lines"))
    for measure, field in mixes:
        index = stability_index(getattr(month, field), _sum([getattr(each, field) for each in before]))
        if index > MIX_LIMIT:
            yield QualityWarning(month=name, measure=measure, value=index, baseline=0, limit=MIX_LIMIT)


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {name: sum(each.get(name, 0) for each in counts) for name in {name for each in counts for name in each}}
