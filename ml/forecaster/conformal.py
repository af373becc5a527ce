"""Quantiles that hold what they promise: distances from the median in units that were measured on steps held back.

Each quantile is calibrated by itself, one-sided (Romano et al., "Conformalized quantile regression", 2019, with a factor in place of a
sum), in classes of forecast size and horizon: errors of small and of distant forecasts are others.
"""

from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, Integers

SIZE_CLASSES, STEP_CLASSES = 4, 2
# Fewer errors are too few for a class of their own.
MIN_ERRORS = 400
SHARES = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Spread:
    """The distances from the median to the outer deciles, as a model expects them, shape (rows,) each; positive."""

    below: Floats
    above: Floats

    def normalize(self, level: Floats, counted: Booleans) -> "Spread":
        """The distances in units of their mean share of the level over these rows: so models that are more and less sure are alike."""
        return Spread(*(side / np.mean((side / level)[counted]) for side in (self.below, self.above)))

    def blend(self, share: float, level: Floats) -> "Spread":
        """The distances, leaning towards the level itself. share: of the distances, 0 to 1"""
        return Spread(*(share * side + (1 - share) * level for side in (self.below, self.above)))


@dataclass(frozen=True)
class Conformal:
    """What `calibrate` finds."""

    share: float
    """The share of a model's spread against the level."""
    sizes: Floats
    """The bounds of the classes of relative size, ascending."""
    steps: Floats
    """The bounds of the classes of steps ahead, ascending."""
    factors: Floats
    """By size, step and level, in units of the spread, shape (sizes + 1, steps + 1, levels)."""

    def quantiles(self, median: Floats, spread: Spread, level: Floats, step: Integers) -> Floats:
        """The quantiles of rows, shape (rows, levels), in order and not negative. Arguments as of `calibrate`"""
        unit = spread.blend(self.share, level)
        factors = self.factors[np.searchsorted(self.sizes, median), np.searchsorted(self.steps, step)]
        distance = factors * np.where(factors < 0, unit.below[:, None], unit.above[:, None])
        return np.maximum(np.sort(median[:, None] + distance, axis=1), 0.0)


def calibrate(actual: Floats, median: Floats, spread: Spread, level: Floats, step: Integers, levels: tuple[float, ...]) -> Conformal:
    """Measures the errors of rows in units of the spread on their side, with the share of the spread that gives the least pinball loss.

    actual, median, level, step: of each row, shape (rows,); the level is positive
    spread: normalized
    levels: of the quantiles, 0 to 1
    """
    found = [_calibrate(share, actual, median, spread.blend(share, level), step, levels) for share in SHARES]

    def loss(conformal: Conformal) -> float:
        error = (actual[:, None] - conformal.quantiles(median, spread, level, step)) / level[:, None]
        return float(np.maximum(np.array(levels) * error, (np.array(levels) - 1) * error).mean())

    return min(found, key=loss)


def _calibrate(share: float, actual: Floats, median: Floats, unit: Spread, step: Integers, levels: tuple[float, ...]) -> Conformal:
    error = actual - median
    ratio = error / np.where(error < 0, unit.below, unit.above)
    size = median
    many = len(ratio) >= MIN_ERRORS * SIZE_CLASSES * STEP_CLASSES
    sizes = np.unique(np.quantile(size, np.arange(1, SIZE_CLASSES) / SIZE_CLASSES)) if many else np.zeros(0)
    steps = np.array([np.median(step)]) if many else np.zeros(0)
    overall = np.quantile(ratio, levels)
    factors = np.empty((len(sizes) + 1, len(steps) + 1, len(levels)))
    of_size, of_step = np.searchsorted(sizes, size), np.searchsorted(steps, step)
    for first in range(len(sizes) + 1):
        for second in range(len(steps) + 1):
            members = ratio[(of_size == first) & (of_step == second)]
            factors[first, second] = np.quantile(members, levels) if len(members) >= MIN_ERRORS else overall
    return Conformal(share, sizes, steps, factors)
