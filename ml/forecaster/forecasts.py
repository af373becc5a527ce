"""What a forecaster is asked for, and what it returns: plain data, without any model library."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

Metric = Literal["units", "revenue"]
UNITS_METRIC: Final = "units"
REVENUE_METRIC: Final = "revenue"
METRICS: tuple[Metric, ...] = (UNITS_METRIC, REVENUE_METRIC)

Granularity = Literal["day", "week", "month"]
ScopeKind = Literal["shop", "category", "country", "product"]


class ScopeNotFound(LookupError):
    """There is no such product, category or country."""


@dataclass(frozen=True)
class Scope:
    """What a forecast is for: the shop, or the category, country or product of this name."""

    kind: ScopeKind = "shop"
    name: str = ""


@dataclass(frozen=True)
class Point:
    """The forecast of a period."""

    date: date
    """The first day of the period."""
    day_count: int
    """The number of its days that the forecast covers."""
    mean: float
    median: float
    bands: Mapping[int, tuple[float, float]]
    """Lower and upper end of the interval of each level, in percent."""


@dataclass(frozen=True)
class HistoryPoint:
    """The sales of a period."""

    date: date
    day_count: int
    value: float


@dataclass(frozen=True)
class Contribution:
    """A cause of a forecast."""

    feature: str
    """An identifier of the cause, for programs."""
    text: str
    """A description, for people."""
    amount: float


@dataclass(frozen=True)
class Explanation:
    """Why the mean of a day is what it is."""

    date: date
    mean: float
    baseline: float
    contributions: tuple[Contribution, ...]
    """Largest amount first; the baseline and the contributions add up to the mean."""


@dataclass(frozen=True)
class BacktestDay:
    """A past day, as it was forecast from an origin before it."""

    origin: date
    actual: float
    point: Point


@dataclass(frozen=True)
class Backtest:
    """The accuracy of the forecasts of the last twelve weeks."""

    mase: float
    """NaN for a series whose history is too short or never changes."""
    rmsse: float
    """As `mase`."""
    bias: float
    """The error of the sum of the means, relative to the sum of the sales; NaN without sales."""
    coverage: Mapping[int, float]
    """By level of the interval, in percent."""
    days: tuple[BacktestDay, ...]
