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
        distance = self.factors[np.searchsorted(self.steps, step)] * units[self.unit][:, None]
        return np.maximum(np.sort(median[:, None] + distance, axis=1), 0.0)


def calibrate(actual: Floats, median: Floats, units: Units, step: Integers, scale: Floats, levels: tuple[float, ...]) -> Conformal:
    """Measures the errors of rows in each unit, and returns the one whose quantiles have the least pinball loss.

    actual, median, step: of each row, shape (rows,)
    scale: what the loss of each row is relative to, shape (rows,); positive
    levels: of the quantiles, 0 to 1
    """
    classes = STEP_CLASSES if len(step) >= MIN_ERRORS * STEP_CLASSES else 1
    bounds = np.unique(np.quantile(step, np.arange(1, classes) / classes))
    of_step = np.searchsorted(bounds, step)
    shares = np.array(levels)

    def measure(name: str) -> Conformal:
        ratio = (actual - median) / units[name]
        # The share of n errors that are below the k-th is k / (n + 1), which matters where they are few.
        members = [ratio[of_step == number] for number in range(len(bounds) + 1)]
        factors = [np.quantile(found if len(found) else ratio, shares, method="weibull") for found in members]
        return Conformal(name, bounds, np.stack(factors))

    def loss(conformal: Conformal) -> float:
        error = (actual[:, None] - conformal.quantiles(median, units, step)) / scale[:, None]
        return float(np.maximum(shares * error, (shares - 1) * error).mean())

    return min((measure(name) for name in units), key=loss)
