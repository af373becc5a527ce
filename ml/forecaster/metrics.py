"""How good forecasts are: errors over the error of a naive forecast in sample, and how often a band holds."""

import numpy as np

from ml.forecaster.panel import Flags, Numbers

DECILES = tuple(round(0.1 * place, 1) for place in range(1, 10))


def seasonal_scale(history: Numbers, season: int) -> Numbers:
    """The in-sample mean absolute seasonal difference of each series, shape (n,) (Hyndman and Koehler, 2006).

    history: shape (n, T); NaN is unknown. NaN where a series never changes or is too short.
    """
    return positive_mean(np.abs(history[:, season:] - history[:, :-season]))


def squared_scale(history: Numbers) -> Numbers:
    """The in-sample mean squared first difference of each series, shape (n,), as the M5 competition has it."""
    return positive_mean((history[:, 1:] - history[:, :-1]) ** 2)


def mase(actual: Numbers, median: Numbers, scale: Numbers) -> float:
    """Mean absolute scaled error: of the median, over `seasonal_scale`, averaged over series.

    actual, median: shape (n, h); NaN in `actual` is unknown
    """
    return mean_known(mean_known_steps(np.abs(actual - median)) / scale)


def scaled_quantile_loss(actual: Numbers, quantiles: Numbers, scale: Numbers) -> float:
    """Twice the pinball loss over `seasonal_scale`, averaged over the deciles and the series.

    quantiles: the deciles 0.1 to 0.9, shape (n, h, 9)
    """
    error = actual[:, :, None] - quantiles
    levels = np.array(DECILES)
    return mean_known(mean_known_steps((2 * np.maximum(levels * error, (levels - 1) * error)).mean(axis=2)) / scale)


def rmsse(actual: Numbers, mean: Numbers, scale: Numbers) -> float:
    """Root mean squared scaled error: of the mean, over `squared_scale`, averaged over series."""
    return mean_known(np.sqrt(mean_known_steps((actual - mean) ** 2) / scale))


def coverage(actual: Numbers, lower: Numbers, upper: Numbers, open_steps: Flags) -> float:
    """The share of open steps, of those that are known, whose value lies in the band, ends included; all of shape (n, h)."""
    counted = open_steps & ~np.isnan(actual)
    return float(((actual >= lower) & (actual <= upper))[counted].mean()) if counted.any() else float("nan")


def mean_known(values: Numbers) -> float:
    """The mean of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def mean_known_steps(values: Numbers) -> Numbers:
    """The mean over each series' known steps, shape (n,); NaN where none is known."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Numbers = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean


def positive_mean(values: Numbers) -> Numbers:
    """The mean over each series' known steps, NaN where it is not positive, for nothing can be measured by it."""
    mean = mean_known_steps(values)
    return np.where(mean > 0, mean, np.nan)
