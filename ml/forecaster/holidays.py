"""Distances of days from Easter and from Christmas."""

from datetime import date

import numpy as np
from dateutil.easter import easter
from numpy.typing import NDArray

from ml.forecaster.arrays import Integers


def days_from_easter(days: NDArray[np.datetime64]) -> Integers:
    """Days since the nearest Easter Sunday, negative before it, shape of `days`."""
    return _days_from_nearest(days, [easter(year) for year in _years(days)])


def days_from_christmas(days: NDArray[np.datetime64]) -> Integers:
    """Days since the nearest Christmas Day, negative before it, shape of `days`."""
    return _days_from_nearest(days, [date(year, 12, 25) for year in _years(days)])


def _years(days: NDArray[np.datetime64]) -> range:
    """The years of the days, and one year on either side."""
    first, last = (int(day.astype("datetime64[Y]").astype(int)) + 1970 for day in (days.min(), days.max()))
    return range(first - 1, last + 2)


def _days_from_nearest(days: NDArray[np.datetime64], holidays: list[date]) -> Integers:
    """Days since the nearest of the holidays, which are in order."""
    distance = days.astype("datetime64[D]")[:, None] - np.array(holidays, dtype="datetime64[D]")
    closest = np.abs(distance).argmin(axis=1)
    since: Integers = distance[np.arange(len(days)), closest].astype(np.int64)
    return since
