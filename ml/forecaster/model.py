"""The forecaster: what a shop will sell, at every level of its hierarchy, for half a year. It imports only what serving needs.

Means and quantiles are computed when it is fitted, and looked up when it is asked; explanations are computed when asked for.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from ml.forecaster.accuracy import HELD_BACK, WINDOW, backtest_series
from ml.forecaster.arrays import Floats
from ml.forecaster.direct import Calibration, Direct
from ml.forecaster.explain import explain, series_features
from ml.forecaster.forecasts import (
    METRICS,
    UNITS_METRIC,
    Backtest,
    Explanation,
    Granularity,
    HistoryPoint,
    Metric,
    Point,
    Scope,
    ScopeKind,
    ScopeNotFound,
)
from ml.forecaster.series import Series
from ml.forecaster.tables import Tables
from ml.registry import artifact
from ml.registry.errors import InvalidArtifact

__all__ = ["AGGREGATES", "HELD_BACK", "HORIZON", "KIND", "PRODUCTS", "WINDOW", "Forecaster"]

KIND = "forecaster"
HORIZON = 182
# The names of the two sets of models: for the shop, its categories and countries; and for single products.
AGGREGATES, PRODUCTS = "wide", "single"
_EXAMPLE_SCOPES = 8
_EXAMPLE_ARRAYS = ("example_weeks", "example_reasons")
# Processors differ in the last bits of logarithms and sums. Then nearly all answers agree closely; one at a tree's split may not.
_TOLERANCE, _AGREEING_SHARE = 1e-3, 0.95


class Forecaster:
    """Forecasts of a shop.

    facts: names, dates and calibration, as in the artifact
    boosters: the models of both sets, as `wide_mean`
    examples: the answers that `check` expects
    """

    def __init__(
        self,
        facts: Mapping[str, Any],
        tables: Tables,
        boosters: Mapping[str, lgb.Booster],
        examples: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._facts = facts
        self._tables = tables
        self._boosters = boosters
        self._examples = examples or {}
        self._models = {name: _models(boosters, facts["settled"][name], name) for name in (AGGREGATES, PRODUCTS)}
        self.first_date = date.fromisoformat(facts["first_date"])
        self.through = self.first_date + timedelta(days=tables.units.shape[1] - 1)
        """The last day of the sales; forecasts start on the day after."""
        names: dict[ScopeKind, Sequence[str]] = {
            "shop": [""],
            "category": facts["categories"],
            "country": facts["countries"],
            "product": facts["products"],
        }
        scopes = [Scope(kind, name) for kind, known in names.items() for name in known]
        self._indices = {scope: index for index, scope in enumerate(scopes)}

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Everything that there is a forecast for."""
        return tuple(self._indices)

    def products_in(self, category: str) -> list[str]:
        """The products of a category, by name. Raises `ScopeNotFound`."""
        self.series(Scope("category", category), UNITS_METRIC)
        index, tables = self._facts["categories"].index(category), self._tables
        codes = tables.category[2 * tables.aggregate_count :]
        return [name for name, code in zip(self._facts["products"], codes.tolist(), strict=True) if code == index]

    def forecast(
        self,
        scope: Scope,
        metric: Metric,
        horizon_days: int,
        granularity: Granularity = "day",
        levels: tuple[int, ...] = (80, 95),
        factors: Floats | None = None,
    ) -> list[Point]:
        """The forecast of the next `horizon_days`, 1 to 182, by period. Raises `ScopeNotFound`.

        levels: of the intervals, in percent, 1 to 99
        factors: what each day of the forecast is multiplied by, such as 0 for a closed day, shape (HORIZON,); by default 1
        """
        return self.series(scope, metric, factors).forecast_points(horizon_days, granularity, levels)

    def history(self, scope: Scope, metric: Metric, days: int, granularity: Granularity = "day") -> list[HistoryPoint]:
        """The sales of the last days, by period; fewer if the history is shorter. Raises `ScopeNotFound`."""
        return self.series(scope, metric).history_points(days, granularity)

    def sales_days(self, scope: Scope) -> tuple[date, date] | None:
        """The first and the last day with sales; None without any. Raises `ScopeNotFound`."""
        days = np.flatnonzero(self.series(scope, UNITS_METRIC).history)
        return (self._day(days[0]), self._day(days[-1])) if days.size else None

    def explain(self, scope: Scope, metric: Metric, horizon_days: int, factors: Floats | None = None) -> list[Explanation]:
        """Why the means of the next `horizon_days` are what they are. Raises `ScopeNotFound`. factors: as of `forecast`"""
        series = self.series(scope, metric, factors)
        features = series_features(series, self.first_date, len(self._facts["categories"]), HORIZON)
        return explain(series, features, self._models[PRODUCTS if series.is_product else AGGREGATES], horizon_days)

    def backtest(self, scope: Scope, metric: Metric) -> Backtest:
        """The accuracy of the forecasts of the last twelve weeks. Raises `ScopeNotFound`."""
        return backtest_series(self.series(scope, metric))

    def series(self, scope: Scope, metric: Metric, factors: Floats | None = None) -> Series:
        """The series of a scope. Raises `ScopeNotFound`. factors: as of `forecast`"""
        index = self._indices.get(scope)
        if index is None:
            raise ScopeNotFound(f"{scope.kind} {scope.name}")
        return Series(self._tables, index, metric, self.through, factors)

    def save(self, folder: Path) -> None:
        """Writes the forecaster as an artifact, with examples of its answers."""
        arrays = self._tables.arrays() | self._answer_examples()
        artifact.save(folder, KIND, self._facts, arrays=arrays, boosters=self._boosters, tables=self._tables.arrow_tables())

    @classmethod
    def load(cls, folder: Path) -> "Forecaster":
        """Reads the forecaster from a folder. Raises `InvalidArtifact`."""
        saved = artifact.load(folder, KIND)
        try:
            examples = {name: saved.arrays[name] for name in _EXAMPLE_ARRAYS}
            return cls(saved.facts, Tables.read(saved), saved.boosters, examples)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArtifact(f"{folder} is not a forecaster that this code can read: {error}.") from error

    def check(self) -> None:
        """Raises `InvalidArtifact` if the forecaster does not answer as it did when it was saved."""
        answers = self._answer_examples() if self._examples else {}
        for name, expected in self._examples.items():
            if not _agree(answers[name], expected):
                raise InvalidArtifact(f"The forecaster does not answer as it did when it was saved: its {name} are others.")

    def _answer_examples(self) -> dict[str, np.ndarray]:
        """Weekly forecasts, and baselines and first contributions of explanations, for the shop and a few other scopes."""
        scopes = [self.scopes[index] for index in np.linspace(0, len(self._indices) - 1, _EXAMPLE_SCOPES).astype(int)]
        weeks = [[(p.mean, p.median, *p.bands[80]) for m in METRICS for p in self.forecast(s, m, HORIZON, "week", (80,))] for s in scopes]
        reasons = [
            [(e.baseline, *(c.amount for c in e.contributions[:1])) for m in METRICS for e in self.explain(s, m, 7)] for s in scopes[:3]
        ]
        return dict(zip(_EXAMPLE_ARRAYS, (np.array(weeks), np.array(reasons)), strict=True))

    def _day(self, index: int) -> date:
        return self.first_date + timedelta(days=int(index))


def _agree(answers: np.ndarray, expected: np.ndarray) -> bool:
    """Whether answers are those of the same model, which another processor may compute a little differently."""
    if answers.shape != expected.shape:
        return False
    close = np.isclose(answers, expected, rtol=_TOLERANCE, atol=1e-9, equal_nan=True)
    return bool(np.mean(close) >= _AGREEING_SHARE)


def _models(boosters: Mapping[str, lgb.Booster], calibration: Mapping[str, Any], name: str) -> Direct:
    """The models of a set, AGGREGATES or PRODUCTS."""
    own = {full.removeprefix(f"{name}_"): booster for full, booster in boosters.items() if full.startswith(f"{name}_")}
    return Direct(own, Calibration(**{**calibration, "widths": tuple(map(tuple, calibration["widths"]))}))
