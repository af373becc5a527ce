"""Explanations: the causes of a forecast, in amounts that add up to it."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Floats
from ml.forecaster.context import Context, Group
from ml.forecaster.direct import Direct, target_scale
from ml.forecaster.features import Features
from ml.forecaster.forecasts import Contribution, Explanation
from ml.forecaster.panel import Frequency, Panel
from ml.forecaster.periods import WEEK
from ml.forecaster.sampling import Rows
from ml.forecaster.series import Series
from ml.forecaster.smoothing import SmoothingStates

# The causes: an identifier, a description for people, and the features that belong to it, by prefixes of their names.
THEMES = (
    ("horizon", "How far ahead the day lies", ("step",)),
    ("kind", "What is forecast: its kind, category and price", ("kind", "metric", "category", "price")),
    ("last_year", "What sold at this time last year", ("cycle_",)),
    ("shop_trend", "How the whole shop is doing, and did at this time last year", ("total_",)),
    ("category_trend", "How the category is doing, and did at this time last year", ("category_",)),
    ("weekday", "What sells on this weekday", ("phase", "weekday", "smoothed")),
    ("time_of_year", "The time of the month and of the year", ("day_of_", "christmas", "easter")),
    ("closing_days", "Days nearby on which the shop is shut", ("rests_",)),
    ("recent_sales", "What sold lately, how much and how often", ("mean_", "selling_", "since_sale", "recent_", "trend", "level")),
    ("steadiness", "How steadily it sells, and since when", ("variation", "age")),
)
BLEND = ("blend", "What the smoothed sales and the forecasts above and below it add")
PROMOTION = ("promotion", "Promotions in the calendar")
SHUT = ("shut", "The shop is shut")


def explain(series: Series, features: Features, models: Direct, horizon_days: int) -> list[Explanation]:
    """Why the means of the next days are what they are. features: of the series alone, as from `series_features`"""
    mean = series.mean[:horizon_days]
    baseline, logs = _predict_logs(series, features, models, horizon_days)
    positive = mean > 0
    modelled = np.log(baseline) + logs.sum(axis=1)
    factors = np.ones(horizon_days) if series.factors is None else series.factors[:horizon_days]
    promoted = np.log(np.where(positive, factors, 1.0))
    blended = np.where(positive, np.log(np.where(positive, mean, 1.0)) - modelled - promoted, 0.0)
    amounts = _additive_amounts(np.column_stack([logs, blended, promoted]), baseline, np.where(positive, mean, baseline))
    causes = [*((name, text) for name, text, _ in THEMES), BLEND, PROMOTION]
    explanations = []
    for day in range(horizon_days):
        if positive[day]:
            parts = [Contribution(*cause, float(amount)) for cause, amount in zip(causes, amounts[day], strict=True) if amount]
        else:
            # A mean of zero has no logarithm: one cause takes the whole amount.
            closed = features.closed[0, features.panel.length + day] or factors[day] == 0
            parts = [Contribution(*(SHUT if closed else BLEND), -float(baseline[day]))]
        parts.sort(key=lambda part: -abs(part.amount))
        when = series.through + timedelta(days=day + 1)
        explanations.append(Explanation(when, float(mean[day]), float(baseline[day]), tuple(parts)))
    return explanations


def series_features(series: Series, first_date: date, category_count: int, horizon: int) -> Features:
    """The features of one series, computed from the stored tables: they equal those of the whole hierarchy at the last origin."""
    tables, row = series.tables, series.row
    history = tables.units if series.is_product else series.history_of_all
    values = history[[series.index]].astype(np.float64)
    length = values.shape[1]
    first = int((values[0] > 0).argmax()) if values.any() else length
    values[0, :first] = np.nan
    panel = Panel(
        names=("",),
        times=(np.datetime64(first_date) + np.arange(length + horizon)).astype("datetime64[s]"),
        values=values,
        closed=tables.closed[None],
        covariates={},
        static={
            "kind": tables.kind[[row]],
            "metric": tables.metric[[row]],
            "category": tables.category[[row]],
            "price": tables.tier[[row]],
        },
        frequency=Frequency.DAY,
        season=WEEK,
    )
    return Features(panel, _series_context(series, history, category_count))


def _series_context(series: Series, history: NDArray[np.float32], category_count: int) -> Context:
    """The context of one series. history: of all scopes, in its metric"""
    tables, row, length = series.tables, series.row, history.shape[1]
    closed = tables.closed[:length]
    category = int(tables.category[row])
    # The shop stands in for the category of series that have none.
    category_index = 1 + category if category < category_count else 0
    only = np.zeros(1, dtype=np.int64)
    return Context(
        closed=tables.closed[None],
        groups={
            "total": Group(only, np.where(closed, np.nan, history[[0]])),
            "category": Group(only, np.where(closed, np.nan, history[[category_index]])),
        },
        starts=tables.starts[[row]],
        smoothing=_last_states(series, length),
    )


def _last_states(series: Series, length: int) -> SmoothingStates:
    """The smoothing states of one series, of which only the last are known."""
    tables, row = series.tables, series.row
    level, trend = np.zeros((1, length + 1)), np.zeros((1, length + 1))
    level[0, -1], trend[0, -1] = tables.level[row], tables.trend[row]
    factors = np.ones((1, length + WEEK))
    factors[0, -WEEK:] = tables.factors[row]
    return SmoothingStates(level, trend, factors, WEEK, np.zeros(1, dtype=np.int64))


def _predict_logs(series: Series, features: Features, models: Direct, horizon_days: int) -> tuple[Floats, Floats]:
    """The model's baseline, shape (days,), and the contribution of each theme to the logarithm of its mean, shape (days, themes)."""
    zeros = np.zeros(horizon_days, dtype=np.int64)
    rows = Rows(zeros, np.full(horizon_days, features.panel.length), np.arange(1, horizon_days + 1))
    shares = np.asarray(models.boosters["mean"].predict(features.rows(*rows), pred_contrib=True, num_threads=1))
    scale = target_scale(features, models.calibration.base, rows) * series.price
    logs = np.zeros((horizon_days, len(THEMES)))
    np.add.at(logs.T, _theme_indices(features.names), shares[:, :-1].T)
    return scale * np.exp(shares[:, -1]), logs


def _theme_indices(names: Sequence[str]) -> list[int]:
    """The index in THEMES of each feature, by the longest prefix that fits."""
    prefixes = sorted(((prefix, index) for index, (_, _, found) in enumerate(THEMES) for prefix in found), key=lambda pair: -len(pair[0]))
    return [next(index for prefix, index in prefixes if name.startswith(prefix)) for name in names]


def _additive_amounts(logs: Floats, baseline: Floats, mean: Floats) -> Floats:
    """Amounts that add up to `mean` - `baseline`, from logarithms that add up to log(mean / baseline), shape of `logs` (days, causes).

    Each cause gets its logarithm times the logarithmic mean of the two ends, which leaves no remainder (Ang, "The LMDI approach to
    decomposition analysis", Energy Policy, 2005).
    """
    change = np.log(mean / baseline)
    unchanged = np.abs(change) < 1e-9
    size = np.where(unchanged, baseline, (mean - baseline) / np.where(unchanged, 1.0, change))
    return logs * size[:, None]
