"""Means over windows of steps."""

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, Integers


class WindowMeans:
    """Cumulative sums over the known steps of series, from which the mean over any window is read at once.

    values: shape (n, T)
    known: the values that count, shape (n, T)
    """

    def __init__(self, values: Floats, known: Booleans) -> None:
        self._sum = _cumulative(np.where(known, values, 0.0))
        self._count = _cumulative(known)

    def mean(self, series: Integers, start: Integers, end: Integers) -> Floats:
        """The means of these series over the steps `start` to `end` (exclusive), clipped to the history; NaN where nothing is known.

        series, start, end: shape (rows,)
        """
        last = self._sum.shape[1] - 1
        start, end = np.clip(start, 0, last), np.clip(end, 0, last)
        with np.errstate(invalid="ignore"):
            return (self._sum[series, end] - self._sum[series, start]) / (self._count[series, end] - self._count[series, start])


def _cumulative(values: np.ndarray) -> Floats:
    """The sum before each step, and of all steps, shape (n, T + 1)."""
    return np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
