"""Quantiles: a distribution kept as a few knots, and read at any level."""

from functools import cache
from statistics import NormalDist

import numpy as np

from ml.forecaster.panel import Numbers

# The levels at which a distribution is kept.
KNOTS = (0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975)
MEDIAN = KNOTS.index(0.5)


def quantiles(knots: Numbers, levels: tuple[float, ...]) -> Numbers:
    """The quantiles at these levels, not negative, shape (..., levels).

    Between the knots, and beyond the outermost, they lie on straight lines over the standard normal quantiles, as they would were the
    distribution normal there.

    knots: quantiles at KNOTS in order, shape (..., 7)
    """
    places = np.array([score(knot) for knot in KNOTS])
    wanted = np.array([score(level) for level in levels])
    right = np.clip(np.searchsorted(places, wanted), 1, len(KNOTS) - 1)
    weight = (wanted - places[right - 1]) / (places[right] - places[right - 1])
    between: Numbers = np.maximum((1 - weight) * knots[..., right - 1] + weight * knots[..., right], 0.0)
    return between


@cache
def score(level: float) -> float:
    """The standard normal quantile."""
    return NormalDist().inv_cdf(level)
