"""The forecaster: what a shop will sell, at every level, for half a year; all that serving imports.

Means and quantiles of every day are made when it is fitted, and read when it is asked; explanations are made when asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.forecaster import metrics, periods
from ml.forecaster.direct import Direct, Settled, measure
from ml.forecaster.explain import BLEND, SHUT, THEMES, Contribution, amounts, themes
from ml.forecaster.features import Context, Features, Group
from ml.forecaster.panel import Flags, Frequency, Numbers, Panel
from ml.forecaster.quantiles import KNOTS, quantiles
from ml.forecaster.seasons import WEEK
from ml.forecaster.shop import METRICS, REVENUE_METRIC, UNITS_METRIC, Metric
from ml.forecaster.smoothing import Smoothed
from ml.registry import artifact
from ml.registry.errors import InvalidArtifact

KIND = "forecaster"
HORIZON = 182
# The backtest is of the last twelve weeks, forecast four weeks at a time.
NEAR = 28
HELD_BACK = 3 * NEAR
# The models of the shop, its categories and countries, and those of single products.
WIDE, SINGLE = "wide", "single"
BACKTEST_LEVELS = (80, 95)
EXAMPLES = 8

Granularity = Literal["day", "week", "month"]
ScopeKind = Literal["shop", "category", "country", "product"]


class UnknownScope(LookupError):
    """There is no such product, category or country."""


@dataclass(frozen=True)
class Scope:
    """What a forecast is for: the shop, or the category, country or product of this name."""

    kind: ScopeKind = "shop"
    name: str = ""


@dataclass(frozen=True)
class Point:
    """What is expected of a period: `bands` gives the lower and upper end of each level asked for, in percent."""

    date: date
    day_count: int
    mean: float
    median: float
    bands: Mapping[int, tuple[float, float]]


@dataclass(frozen=True)
class Sold:
    """What was sold in a period."""

    date: date
    day_count: int
    value: float


@dataclass(frozen=True)
class Explanation:
    """Why a day's mean is what it is: `baseline` and the contributions, the strongest first, add up to it."""

    date: date
    mean: float
    baseline: float
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True)
class Tried:
    """A day of the past: what had been expected of it after `origin`, and what came."""

    origin: date
    actual: float
    point: Point


@dataclass(frozen=True)
class Backtest:
    """How good forecasts of the last twelve weeks were: scaled errors (NaN where there is no scale), bias, and coverage by level."""

    mase: float
    rmsse: float
    bias: float
    coverage: Mapping[int, float]
    days: tuple[Tried, ...]


@dataclass(frozen=True)
class Tables:
    """The numbers of a forecaster, as they are saved.

    There are N places: the shop, C categories, K countries, n products; P = 1 + C + K of them are wide. Rows are those of a pyramid: the
    units of wide places, their revenue, then the units of products.

    units, revenue: history of each place, shape (N, T)
    mean_units, mean_revenue: shape (N, HORIZON)
    knots: shape (rows, HORIZON, knots)
    tried_mean, tried_knots: forecasts of the days held back, shape (rows, HELD_BACK) and (rows, HELD_BACK, knots)
    errors: of sums, by kind, shape (kinds, lengths, levels)
    price, tried_price: pounds a unit of each product, now and as it was for the days held back, shape (n,)
    level, trend, factors, starts: the last states of the smoothed rows, and what rows that have not begun begin with
    rests: whether the shop rests, shape (T + HORIZON,)
    kind, metric, category, tier: the static features of each row
    """

    units: NDArray[np.float32]
    revenue: NDArray[np.float32]
    mean_units: Numbers
    mean_revenue: Numbers
    knots: NDArray[np.float32]
    tried_mean: NDArray[np.float32]
    tried_knots: NDArray[np.float32]
    errors: Numbers
    price: Numbers
    tried_price: Numbers
    level: Numbers
    trend: Numbers
    factors: Numbers
    starts: Numbers
    rests: Flags
    kind: NDArray[np.int64]
    metric: NDArray[np.int64]
    category: NDArray[np.int64]
    tier: NDArray[np.int64]


class Forecaster:
    """Forecasts of a shop. A forecast begins on the day after `through`, the last day of the sales."""

    def __init__(self, facts: Mapping[str, Any], tables: Tables, boosters: Mapping[str, lgb.Booster]) -> None:
        self._facts = facts
        self._tables = tables
        self._boosters = boosters
        self._directs = {name: direct(boosters, facts["settled"], name) for name in (WIDE, SINGLE)}
        self.first_date = date.fromisoformat(facts["first_date"])
        self.through = self.first_date + timedelta(days=tables.units.shape[1] - 1)
        names: dict[ScopeKind, Sequence[str]] = {
            "shop": [""],
            "category": facts["categories"],
            "country": facts["countries"],
            "product": facts["products"],
        }
        scopes = [Scope(kind, name) for kind, known in names.items() for name in known]
        self._places = {scope: place for place, scope in enumerate(scopes)}
        self._wide = 1 + len(facts["categories"]) + len(facts["countries"])

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """All that there is a forecast for."""
        return tuple(self._places)

    def forecast(
        self, scope: Scope, metric: Metric, horizon_days: int, granularity: Granularity = "day", levels: tuple[int, ...] = (80, 95)
    ) -> list[Point]:
        """What is expected of the next `horizon_days`, 1 to 182, by period. Raises `UnknownScope`.

        levels: of the bands, in percent, 1 to 99
        """
        place = self._place(scope)
        mean = self._means(metric)[place, :horizon_days]
        knots = self._knots(place, metric)[:horizon_days]
        days = np.datetime64(self.through) + np.arange(1, horizon_days + 1)
        return self._points(place, days, mean, knots, granularity, levels)

    def history(self, scope: Scope, metric: Metric, days: int, granularity: Granularity = "day") -> list[Sold]:
        """What was sold in the last so many days, by period; what lies before the first day of the sales is left out."""
        values = self._history(metric)[self._place(scope)]
        values = values[max(0, len(values) - days) :].astype(np.float64)
        if not len(values):
            return []
        dates = np.datetime64(self.through) - np.arange(len(values) - 1, -1, -1)
        starts = period_starts(dates, granularity)
        counts = np.diff(np.append(starts, len(values)))
        firsts = first_days(dates[starts], granularity)
        return [Sold(*row) for row in zip(firsts, counts.tolist(), np.add.reduceat(values, starts).tolist(), strict=True)]

    def explain(self, scope: Scope, metric: Metric, horizon_days: int) -> list[Explanation]:
        """Why the means of the next `horizon_days` are what they are. Raises `UnknownScope`."""
        place = self._place(scope)
        mean = self._means(metric)[place, :horizon_days]
        features, unit = self._features(place, metric)
        series = np.zeros(horizon_days, dtype=np.int64)
        rows = (series, np.full(horizon_days, features.panel.seen), np.arange(1, horizon_days + 1))
        models = self._directs[SINGLE if place >= self._wide else WIDE]
        told = np.asarray(models.boosters["mean"].predict(features.rows(*rows), pred_contrib=True, num_threads=1))
        base = measure(features, models.settled.base, rows) * unit
        baseline = base * np.exp(told[:, -1])
        logs = np.zeros((horizon_days, len(THEMES) + 1))
        np.add.at(logs.T, themes(features.names), told[:, :-1].T)
        expected = mean > 0
        own = np.log(baseline) + logs.sum(axis=1)
        logs[:, -1] = np.where(expected, np.log(np.where(expected, mean, 1.0)) - own, 0.0)
        moved = amounts(logs, baseline, np.where(expected, mean, baseline))
        causes = [*((name, text) for name, text, _ in THEMES), BLEND]
        explanations = []
        for day in range(horizon_days):
            # On a day without sales there is nothing to divide: one cause takes all.
            parts = (
                [Contribution(name, text, float(amount)) for (name, text), amount in zip(causes, moved[day], strict=True) if amount]
                if expected[day]
                else [Contribution(*(SHUT if features.rests[0, features.panel.seen + day] else BLEND), -float(baseline[day]))]
            )
            parts.sort(key=lambda part: -abs(part.amount))
            when = self.through + timedelta(days=day + 1)
            explanations.append(Explanation(when, float(mean[day]), float(baseline[day]), tuple(parts)))
        return explanations

    def backtest(self, scope: Scope, metric: Metric) -> Backtest:
        """How good the forecasts of the last twelve weeks were, made by models that had not seen them. Raises `UnknownScope`."""
        place = self._place(scope)
        row, price = self._row(place, metric), self._price(place, metric, self._tables.tried_price)
        values = self._history(metric)[place].astype(np.float64)
        history, actual = values[None, :-HELD_BACK], values[None, -HELD_BACK:]
        began = np.flatnonzero(history[0] > 0)
        history = history[:, began[0] :] if len(began) else history[:, :0]
        mean = self._tables.tried_mean[row].astype(np.float64)[None] * price
        knots = self._tables.tried_knots[row].astype(np.float64)[None] * price
        open_days = ~self._tables.rests[None, len(values) - HELD_BACK : len(values)]
        bands = {level: quantiles(knots, band(level)) for level in BACKTEST_LEVELS}
        median = knots[:, :, KNOTS.index(0.5)]
        days = np.datetime64(self.through) - np.arange(HELD_BACK - 1, -1, -1)
        points = self._points(place, days, mean[0], knots[0], "day", BACKTEST_LEVELS)
        origins = [self.through - timedelta(days=HELD_BACK - day // NEAR * NEAR) for day in range(HELD_BACK)]
        scaled = history.shape[1] > WEEK
        nothing = np.full(1, np.nan)
        return Backtest(
            mase=metrics.mase(actual, median, metrics.seasonal_scale(history, WEEK) if scaled else nothing),
            rmsse=metrics.rmsse(actual, mean, metrics.squared_scale(history) if scaled else nothing),
            bias=float((mean - actual).sum() / actual.sum()) if actual.sum() else float("nan"),
            coverage={level: metrics.coverage(actual, ends[:, :, 0], ends[:, :, 1], open_days) for level, ends in bands.items()},
            days=tuple(Tried(*row) for row in zip(origins, actual[0].tolist(), points, strict=True)),
        )

    def save(self, folder: Path) -> None:
        """Writes it as an artifact, with example answers."""
        arrays = {field.name: getattr(self._tables, field.name) for field in fields(Tables)}
        tables = {name: laid_out({column: arrays.pop(column) for column in columns}) for name, columns in MAPPED.items()}
        artifact.save(folder, KIND, self._facts, arrays=arrays | self._examples(), boosters=self._boosters, tables=tables)

    @classmethod
    def load(cls, folder: Path) -> "Forecaster":
        """The forecaster that was saved to a folder. Raises `InvalidArtifact`."""
        saved = artifact.load(folder, KIND)
        try:
            found = {**saved.arrays, **arrays(saved.tables["places"]), **arrays(saved.tables["rows"])}
            tables = Tables(**{field.name: found[field.name] for field in fields(Tables)})
            forecaster = cls(saved.facts, tables, saved.boosters)
            forecaster._saved_examples = {name: saved.arrays[name] for name in EXAMPLE_ARRAYS}
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArtifact(f"{folder} is not a forecaster that this code can read: {error}.") from error
        return forecaster

    def check(self) -> None:
        """Raises `InvalidArtifact` if it does not answer as it did when it was saved."""
        answers = self._examples()
        for name, expected in self._saved_examples.items():
            if not np.array_equal(answers[name], expected):
                raise InvalidArtifact(f"The forecaster does not answer as it did when it was saved: its {name} are others.")

    @cached_property
    def _saved_examples(self) -> Mapping[str, np.ndarray]:
        return self._examples()

    def _examples(self) -> dict[str, np.ndarray]:
        """Answers for the shop and a few other places: quantiles by week, and what explanations add up from."""
        places = np.linspace(0, len(self._places) - 1, EXAMPLES).astype(int)
        scopes = [self.scopes[place] for place in places]
        weeks = [[(p.mean, p.median, *p.bands[80]) for m in METRICS for p in self.forecast(s, m, HORIZON, "week", (80,))] for s in scopes]
        reasons = [
            [(e.baseline, *(c.amount for c in e.contributions[:1])) for m in METRICS for e in self.explain(s, m, 7)] for s in scopes[:3]
        ]
        return dict(zip(EXAMPLE_ARRAYS, (np.array(weeks), np.array(reasons)), strict=True))

    def _place(self, scope: Scope) -> int:
        place = self._places.get(scope)
        if place is None:
            raise UnknownScope(f"{scope.kind} {scope.name}")
        return place

    def _row(self, place: int, metric: Metric) -> int:
        """The row of the pyramid that tells of a place; of a product's revenue too, its units."""
        return place + self._wide if place >= self._wide or metric == REVENUE_METRIC else place

    def _price(self, place: int, metric: Metric, prices: Numbers) -> float:
        """What the row of a place is multiplied by."""
        return float(prices[place - self._wide]) if place >= self._wide and metric == REVENUE_METRIC else 1.0

    def _means(self, metric: Metric) -> Numbers:
        return self._tables.mean_units if metric == UNITS_METRIC else self._tables.mean_revenue

    def _history(self, metric: Metric) -> NDArray[np.float32]:
        return self._tables.units if metric == UNITS_METRIC else self._tables.revenue

    def _knots(self, place: int, metric: Metric) -> Numbers:
        knots: Numbers = self._tables.knots[self._row(place, metric)].astype(np.float64) * self._price(place, metric, self._tables.price)
        return knots

    def _points(
        self, place: int, days: NDArray[np.datetime64], mean: Numbers, knots: Numbers, granularity: Granularity, levels: tuple[int, ...]
    ) -> list[Point]:
        wanted = (0.5, *(end for level in levels for end in band(level)))
        if granularity == "day":
            starts, total, at = np.arange(len(days)), mean, quantiles(knots, wanted)
        else:
            starts = period_starts(days, granularity)
            errors = self._tables.errors[periods.kinds(self._tables.kind)[self._row(place, UNITS_METRIC)]]
            summed = periods.sums(mean, knots, starts, errors, wanted)
            total, at = summed.mean, summed.at
        counts = np.diff(np.append(starts, len(days))).tolist()
        told = zip(first_days(days[starts], granularity), counts, total.tolist(), at.tolist(), strict=True)
        return [
            Point(day, count, value, ends[0], {level: (ends[1 + 2 * i], ends[2 + 2 * i]) for i, level in enumerate(levels)})
            for day, count, value, ends in told
        ]

    def _features(self, place: int, metric: Metric) -> tuple[Features, float]:
        """The features of the row of a place, by itself, and what its amounts are multiplied by."""
        tables, row = self._tables, self._row(place, metric)
        product = place >= self._wide
        values = (tables.units if product else self._history(metric))[[place]].astype(np.float64)
        first = int((values[0] > 0).argmax()) if values.any() else values.shape[1]
        values[0, :first] = np.nan
        seen = values.shape[1]
        level, trend = np.zeros((1, seen + 1)), np.zeros((1, seen + 1))
        level[0, -1], trend[0, -1] = tables.level[row], tables.trend[row]
        factors = np.ones((1, seen + WEEK))
        factors[0, -WEEK:] = tables.factors[row]
        static = {
            name: codes[[row]]
            for name, codes in (("kind", tables.kind), ("metric", tables.metric), ("category", tables.category), ("price", tables.tier))
        }
        shelf = int(tables.category[row])
        history = tables.units if product else self._history(metric)
        category = history[1 + shelf] if shelf < len(self._facts["categories"]) else history[0]
        alone = np.zeros(1, dtype=np.int64)
        rests = tables.rests[:seen]
        panel = Panel(
            names=("",),
            times=(np.datetime64(self.first_date) + np.arange(seen + HORIZON)).astype("datetime64[s]"),
            values=values,
            shut=tables.rests[None],
            known={},
            static=static,
            frequency=Frequency.DAY,
            season=WEEK,
        )
        around = Context(
            rests=tables.rests[None],
            groups={
                "total": Group(alone, np.where(rests, np.nan, history[[0]])),
                "category": Group(alone, np.where(rests, np.nan, category[None])),
            },
            starts=tables.starts[[row]],
            smoothed=Smoothed(level, trend, factors, WEEK),
        )
        return Features(panel, around), self._price(place, metric, tables.price)


EXAMPLE_ARRAYS = ("example_weeks", "example_reasons")
# The large ones, which have a row for each place or each row of the pyramid. They are saved as Arrow files, for these are mapped: a service
# has those places in memory that are asked for.
MAPPED = {"places": ("units", "revenue", "mean_units", "mean_revenue"), "rows": ("knots", "tried_mean", "tried_knots")}


def laid_out(arrays: Mapping[str, np.ndarray]) -> pa.Table:
    """The arrays as columns, what lies along further axes in lists."""
    return pa.table({name: pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array[0].size) for name, array in arrays.items()})


def arrays(table: pa.Table) -> dict[str, np.ndarray]:
    """The arrays that were laid out, not copied; KNOTS have an axis of their own."""
    found = {name: table[name].chunk(0).flatten().to_numpy().reshape(len(table), -1) for name in table.column_names}
    return {name: array.reshape(len(table), -1, len(KNOTS)) if name.endswith("knots") else array for name, array in found.items()}


def direct(boosters: Mapping[str, lgb.Booster], settled: Mapping[str, Any], name: str) -> Direct:
    """The models of a name, WIDE or SINGLE, among the saved ones."""
    mine = {full.removeprefix(f"{name}_"): booster for full, booster in boosters.items() if full.startswith(f"{name}_")}
    return Direct(mine, Settled(**{**settled[name], "widths": tuple(settled[name]["widths"])}))


def band(level: int) -> tuple[float, float]:
    """The quantiles between which this share lies, in percent."""
    return (50 - level / 2) / 100, (50 + level / 2) / 100


def period_starts(days: NDArray[np.datetime64], granularity: Granularity) -> NDArray[np.int64]:
    """The places at which periods begin among days in a row; the first may begin within one."""
    named = first_of(days, granularity)
    return np.flatnonzero(np.append(True, named[1:] != named[:-1]))


def first_days(days: NDArray[np.datetime64], granularity: Granularity) -> list[date]:
    """The first days of the periods of these days."""
    return [day.item() for day in first_of(days, granularity)]


def first_of(days: NDArray[np.datetime64], granularity: Granularity) -> NDArray[np.datetime64]:
    """The first day of each day's period: the Monday of its week, the first of its month, or itself."""
    days = days.astype("datetime64[D]")
    if granularity == "week":
        return days - (days.astype(np.int64) + 3) % WEEK
    return days.astype("datetime64[M]").astype("datetime64[D]") if granularity == "month" else days
