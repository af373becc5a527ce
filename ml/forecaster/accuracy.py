"""The accuracy of a forecaster: the forecasts of its last twelve weeks, made by models that had not seen them."""

from datetime import timedelta

import numpy as np

from ml.forecaster import metrics
from ml.forecaster.arrays import Floats
from ml.forecaster.forecasts import Backtest, BacktestDay
from ml.forecaster.periods import WEEK
from ml.forecaster.quantiles import MEDIAN, interpolate, interval_levels
from ml.forecaster.series import Series

# A backtest covers the last twelve weeks, forecast four weeks at a time.
WINDOW = 28
HELD_BACK = 3 * WINDOW
LEVELS = (80, 95)


def backtest_series(series: Series) -> Backtest:
    """The backtest of one series."""
    tables = series.tables
    values = series.history
    history, actual = _since_first_sale(values[:-HELD_BACK]), values[None, -HELD_BACK:]
    mean = tables.backtest_mean[series.row].astype(np.float64)[None] * series.backtest_price
    quantiles = tables.backtest_quantiles[series.row].astype(np.float64)[None] * series.backtest_price
    open_days = ~tables.closed[None, len(values) - HELD_BACK : len(values)]
    ends = {level: interpolate(quantiles, interval_levels(level)) for level in LEVELS}
    days = np.datetime64(series.through) - np.arange(HELD_BACK - 1, -1, -1)
    points = series.points(days, mean[0], quantiles[0], "day", LEVELS)
    origins = [series.through - timedelta(days=HELD_BACK - day // WINDOW * WINDOW) for day in range(HELD_BACK)]
    # Without a whole season of history there is nothing to scale errors by.
    scaled = history.shape[1] > WEEK
    unknown = np.full(1, np.nan)
    return Backtest(
        mase=metrics.mase(actual, quantiles[:, :, MEDIAN], metrics.seasonal_scale(history, WEEK) if scaled else unknown),
        rmsse=metrics.rmsse(actual, mean, metrics.squared_scale(history) if scaled else unknown),
        bias=float((mean - actual).sum() / actual.sum()) if actual.sum() else float("nan"),
        coverage={level: metrics.coverage(actual, both[:, :, 0], both[:, :, 1], open_days) for level, both in ends.items()},
        days=tuple(BacktestDay(*day) for day in zip(origins, actual[0].tolist(), points, strict=True)),
    )


def _since_first_sale(values: Floats) -> Floats:
    """The values from the first that is positive, shape (1, days)."""
    positive = np.flatnonzero(values > 0)
    return values[None, positive[0] if len(positive) else len(values) :]
