"""Distributions as a few quantiles, from which a quantile of any level is interpolated."""

from functools import cache
from statistics import NormalDist

import numpy as np

from ml.forecaster.arrays import Floats

# The levels that are fitted and stored.
LEVELS = (0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975)
MEDIAN = LEVELS.index(0.5)
LOWER_DECILE, UPPER_DECILE = LEVELS.index(0.1), LEVELS.index(0.9)


def interpolate(quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """The quantiles at other levels, not negative, shape (..., levels).

    Linear in the standard normal score of the level, between the given quantiles and beyond the outermost.

    quantiles: at LEVELS, in order, shape (..., 7)
    """
    stored = np.array([normal_score(level) for level in LEVELS])
    wanted = np.array([normal_score(level) for level in levels])
    right = np.clip(np.searchsorted(stored, wanted), 1, len(LEVELS) - 1)
    weight = (wanted - stored[right - 1]) / (stored[right] - stored[right - 1])
    found: Floats = np.maximum((1 - weight) * quantiles[..., right - 1] + weight * quantiles[..., right], 0.0)
    return found


def interval_levels(level: int) -> tuple[float, float]:
    """The levels of the quantiles at the ends of a central interval. level: of the interval, in percent"""
    return (50 - level / 2) / 100, (50 + level / 2) / 100


@cache
def normal_score(level: float) -> float:
    """The standard normal quantile of a level."""
    return NormalDist().inv_cdf(level)
