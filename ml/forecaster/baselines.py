"""What any forecast must beat: the last season again, and statsforecast's AutoETS."""

import numpy as np

from ml.forecaster.metrics import positive_mean
from ml.forecaster.panel import Numbers, Panel
from ml.forecaster.quantiles import score


def seasonal_naive(panel: Panel, levels: tuple[float, ...]) -> tuple[Numbers, Numbers]:
    """The last season seen, again and again: the mean, shape (n, H), and normal quantiles, shape (n, H, levels).

    The spread is that of the seasonal differences in sample, and grows with the root of how many seasons ahead a step lies.
    """
    season, ahead = panel.season, panel.ahead
    seen = filled(panel.values)
    mean = seen[:, panel.seen - season + np.arange(ahead) % season]
    spread = np.sqrt(np.nan_to_num(positive_mean((panel.values[:, season:] - panel.values[:, :-season]) ** 2)))
    seasons = np.sqrt(1 + np.arange(ahead) // season)
    scores = np.array([score(level) for level in levels])
    return mean, np.maximum(mean[:, :, None] + (spread[:, None] * seasons)[:, :, None] * scores, 0.0)


def auto_ets(panel: Panel, levels: tuple[float, ...]) -> tuple[Numbers, Numbers]:
    """AutoETS of each series by itself: the mean, shape (n, H), and its quantiles, shape (n, H, levels)."""
    # Only the pipeline compares, so that the commands need not carry statsforecast.
    from statsforecast.models import AutoETS

    model = AutoETS(season_length=panel.season)
    mean, quantiles = np.zeros((len(panel.names), panel.ahead)), np.zeros((len(panel.names), panel.ahead, len(levels)))
    for place, values in enumerate(panel.values):
        known = np.nan_to_num(values[np.isfinite(values).argmax() :])
        bands = [round(100 * abs(2 * level - 1)) for level in levels]
        told = model.forecast(known, h=panel.ahead, level=sorted({band for band in bands if band}))
        mean[place] = told["mean"]
        for column, (level, band) in enumerate(zip(levels, bands, strict=True)):
            quantiles[place, :, column] = told["mean"] if not band else told[f"{'lo' if level < 0.5 else 'hi'}-{band}"]
    return np.maximum(mean, 0.0), np.maximum(quantiles, 0.0)


def filled(values: Numbers) -> Numbers:
    """The values with each unknown one replaced by the last known before it, or zero."""
    known = ~np.isnan(values)
    latest = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), 0), axis=1)
    return np.nan_to_num(values[np.arange(len(values))[:, None], latest])
