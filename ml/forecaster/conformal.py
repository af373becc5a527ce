"""Quantiles that hold what they promise: distances from the median in units that were measured on steps held back.

Each quantile is calibrated by itself, one-sided (Romano et al., "Conformalized quantile regression", 2019, with a factor in place of a
sum), in classes of the horizon: errors of distant forecasts are others. What a unit is, how far a series is usually off, is chosen too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Floats, Integers

STEP_CLASSES = 3
# Fewer errors are too few for a class of their own.
MIN_ERRORS = 800
# A lower bound of units, against division by zero.
MIN_UNIT = 1e-9

Units = Mapping[str, Floats]
"""The candidates for the unit of the errors of rows, by name: shape (rows,) each, positive."""


@dataclass(frozen=True)
class Conformal:
    """What `calibrate` finds."""

    unit: str
    """The unit with the least pinball loss."""
    steps: Floats
    """The bounds of the classes of steps ahead, ascending."""
    factors: Floats
    """By class and level, in this unit, shape (steps + 1, levels)."""

    def quantiles(self, median: Floats, units: Units, step: Integers) -> Floats:
        """The quantiles of rows, shape (rows, levels), in order and not negative. Arguments as of `calibrate`"""
        factors, unit = self.factors[np.searchsorted(self.steps, step)], units[self.unit]
        distance = factors * np.where(factors < 0, _below(unit, median)[:, None], unit[:, None])
        return np.maximum(np.sort(median[:, None] + distance, axis=1), 0.0)


def calibrate(
    actual: Floats, median: Floats, units: Units, step: Integers, path: Integers, scale: Floats, levels: tuple[float, ...]
) -> Conformal:
    """Measures the errors of rows in each unit, and returns the one whose quantiles have the least pinball loss.

    actual, median, step: of each row, shape (rows,)
    path: the series and origin of each row, as a number, shape (rows,): errors along a path are alike
    scale: what the loss of each row is relative to, shape (rows,); positive
    levels: of the quantiles, 0 to 1
    """
    classes = STEP_CLASSES if len(step) >= MIN_ERRORS * STEP_CLASSES else 1
    bounds = np.unique(np.quantile(step, np.arange(1, classes) / classes))
    of_step = np.searchsorted(bounds, step)
    shares = np.array(levels)

    def measure(name: str) -> Conformal:
        error, unit = actual - median, units[name]
        ratio = error / np.where(error < 0, _below(unit, median), unit)
        # The next of n errors is beyond the k-th with probability k / (n + 1), which matters where they are few.
        count = _effective_count(ratio, path)
        wider = np.clip(shares + np.where(shares > 0.5, shares, np.where(shares < 0.5, shares - 1, 0.0)) / count, 0.0, 1.0)
        members = [ratio[of_step == number] for number in range(len(bounds) + 1)]
        return Conformal(name, bounds, np.stack([np.quantile(found if len(found) else ratio, wider) for found in members]))

    def loss(conformal: Conformal) -> float:
        error = (actual[:, None] - conformal.quantiles(median, units, step)) / scale[:, None]
        return float(np.maximum(shares * error, (shares - 1) * error).mean())

    return min((measure(name) for name in units), key=loss)


def _below(unit: Floats, median: Floats) -> Floats:
    """The unit below the median: no more than the median itself, so that a quantile of a series that rarely sells is exactly zero."""
    return np.maximum(np.minimum(unit, median), MIN_UNIT)


def _effective_count(ratio: Floats, path: Integers) -> float:
    """The number of independent errors that say as much: errors along a path are alike by how the means of their ranks differ."""
    if not len(ratio):
        return 1.0
    rank = (np.argsort(np.argsort(ratio, kind="stable"), kind="stable") + 0.5) / len(ratio) - 0.5
    _, of_path, steps = np.unique(path, return_inverse=True, return_counts=True)
    # A uniform rank has a variance of 1/12, and the mean of independent ones this by their number.
    excess = float(np.mean(12 * np.bincount(of_path, rank) ** 2 / steps))
    return len(ratio) / max(excess, 1.0)
