"""Scores of forecasts: errors relative to those of a naive forecast in sample, and the coverage of intervals."""

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, overall_mean, positive_or_nan, row_means

DECILES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
# The quantiles that forecasts are scored by: the median, the deciles, and the ends of the intervals of 80 and 95 percent.
SCORED_LEVELS = (0.025, *DECILES, 0.975)
# The levels at which quantiles are judged one by one, by the names of their scores.
ONE_SIDED = {"below10": 0.1, "below50": 0.5, "below90": 0.9, "below975": 0.975}


def seasonal_scale(history: Floats, season: int) -> Floats:
    """The in-sample mean absolute seasonal difference of each series, shape (n,) (Hyndman and Koehler, 2006).

    history: shape (n, T); NaN is unknown. The scale of a series that never changes, or is too short, is NaN.
    """
    return positive_or_nan(row_means(np.abs(history[:, season:] - history[:, :-season])))


def squared_scale(history: Floats) -> Floats:
    """The in-sample mean squared first difference of each series, shape (n,), as in the M5 competition."""
    return positive_or_nan(row_means((history[:, 1:] - history[:, :-1]) ** 2))


def mase(actual: Floats, median: Floats, scale: Floats) -> float:
    """Mean absolute scaled error of the median, averaged over series.

    actual, median: shape (n, h); NaN in `actual` is unknown
    scale: `seasonal_scale`, shape (n,)
    """
    return overall_mean(row_means(np.abs(actual - median)) / scale)


def scaled_quantile_loss(actual: Floats, quantiles: Floats, scale: Floats) -> float:
    """Twice the pinball loss over `seasonal_scale`, averaged over the deciles and the series.

    quantiles: the deciles 0.1 to 0.9, shape (n, h, 9)
    """
    error = actual[:, :, None] - quantiles
    levels = np.array(DECILES)
    return overall_mean(row_means((2 * np.maximum(levels * error, (levels - 1) * error)).mean(axis=2)) / scale)


def rmsse(actual: Floats, mean: Floats, scale: Floats) -> float:
    """Root mean squared scaled error of the mean, over `squared_scale`, averaged over series."""
    return overall_mean(np.sqrt(row_means((actual - mean) ** 2) / scale))


def coverage(actual: Floats, lower: Floats, upper: Floats, open_steps: Booleans) -> float:
    """The share of open steps with a known value inside the interval, ends included; all arrays of shape (n, h)."""
    counted = open_steps & ~np.isnan(actual)
    return float(((actual >= lower) & (actual <= upper))[counted].mean()) if counted.any() else float("nan")


def shares_below(actual: Floats, quantiles: Floats, open_steps: Booleans) -> dict[str, float]:
    """The share of open steps with a known value below the quantile of each level of ONE_SIDED.

    Half of the days of a product that hardly sells are exactly zero, which is several of its quantiles. Such a value is not below one or
    above another: it is anywhere between the levels that it ties, each as likely (the randomized probability integral transform of Czado,
    Gneiting and Held, "Predictive model assessment for count data", 2009, in expectation). So quantiles that are right have their levels as
    shares, of counts too.

    quantiles: at SCORED_LEVELS, shape (n, h, 11)
    """
    counted = open_steps & ~np.isnan(actual)
    if not counted.any():
        return dict.fromkeys(ONE_SIDED, float("nan"))
    value, rows = actual[counted][:, None], quantiles[counted]
    bounds = np.array([0.0, *SCORED_LEVELS, 1.0])
    below, above = (rows < value).sum(axis=1), len(bounds) - 2 - (rows > value).sum(axis=1)
    tied = above > below
    # The levels of the values just below and at this one lie somewhere between those of the quantiles around them.
    middle = (bounds[:-1] + bounds[1:]) / 2
    lower = np.where(value[:, 0] == 0, 0.0, np.where(tied, middle[below], bounds[below]))
    upper = np.where(tied, middle[above], bounds[above + 1])
    return {name: float(np.clip((level - lower) / (upper - lower), 0.0, 1.0).mean()) for name, level in ONE_SIDED.items()}


def panel_scores(history: Floats, season: int, actual: Floats, mean: Floats, quantiles: Floats, open_steps: Booleans) -> dict[str, float]:
    """The scores of the forecasts of one window of a panel; `rmsse_total` is that of the sum over series.

    history: shape (n, T)
    actual, mean, open_steps: shape (n, h)
    quantiles: at SCORED_LEVELS, shape (n, h, 11)
    """
    scale = seasonal_scale(history, season)
    known = ~np.isnan(actual)
    total, expected = (np.where(known, values, 0.0).sum(axis=0, keepdims=True) for values in (actual, mean))
    return {
        "mase": mase(actual, quantiles[:, :, SCORED_LEVELS.index(0.5)], scale),
        "sql": scaled_quantile_loss(actual, quantiles[:, :, 1:-1], scale),
        "cov80": coverage(actual, quantiles[:, :, 1], quantiles[:, :, -2], open_steps),
        "cov95": coverage(actual, quantiles[:, :, 0], quantiles[:, :, -1], open_steps),
        **shares_below(actual, quantiles, open_steps),
        "rmsse": rmsse(actual, mean, squared_scale(history)),
        "rmsse_total": rmsse(total, expected, squared_scale(np.nansum(history, axis=0, keepdims=True))),
    }
