"""Baselines: the seasonal naive forecast, and statsforecast's AutoETS."""

import numpy as np

from ml.forecaster.arrays import Floats, positive_or_nan, row_means
from ml.forecaster.panel import Panel
from ml.forecaster.quantiles import normal_score


def seasonal_naive(panel: Panel, levels: tuple[float, ...]) -> tuple[Floats, Floats]:
    """The last season repeated: the mean, shape (n, H), and normal quantiles, shape (n, H, levels).

    The standard deviation is that of the seasonal differences in sample, times the root of the number of seasons ahead.
    """
    season, horizon = panel.season, panel.horizon
    history = _fill_forward(panel.values)
    mean = history[:, panel.length - season + np.arange(horizon) % season]
    differences = panel.values[:, season:] - panel.values[:, :-season]
    deviation = np.sqrt(np.nan_to_num(positive_or_nan(row_means(differences**2))))
    seasons = np.sqrt(1 + np.arange(horizon) // season)
    scores = np.array([normal_score(level) for level in levels])
    return mean, np.maximum(mean[:, :, None] + (deviation[:, None] * seasons)[:, :, None] * scores, 0.0)


def auto_ets(panel: Panel, levels: tuple[float, ...]) -> tuple[Floats, Floats]:
    """AutoETS, fitted to each series: the mean, shape (n, H), and its quantiles, shape (n, H, levels)."""
    # Imported here, so that the backtest command, which has no use for it, runs without statsforecast.
    from statsforecast.models import AutoETS

    model = AutoETS(season_length=panel.season)
    mean, quantiles = np.zeros((len(panel.names), panel.horizon)), np.zeros((len(panel.names), panel.horizon, len(levels)))
    intervals = [round(100 * abs(2 * level - 1)) for level in levels]
    for row, values in enumerate(panel.values):
        known = np.nan_to_num(values[np.isfinite(values).argmax() :])
        forecast = model.forecast(known, h=panel.horizon, level=sorted({interval for interval in intervals if interval}))
        mean[row] = forecast["mean"]
        for column, (level, interval) in enumerate(zip(levels, intervals, strict=True)):
            quantiles[row, :, column] = forecast["mean"] if not interval else forecast[f"{'lo' if level < 0.5 else 'hi'}-{interval}"]
    return np.maximum(mean, 0.0), np.maximum(quantiles, 0.0)


def _fill_forward(values: Floats) -> Floats:
    """The values with each unknown one replaced by the last known before it, or zero."""
    known = ~np.isnan(values)
    latest = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), 0), axis=1)
    return np.nan_to_num(values[np.arange(len(values))[:, None], latest])
