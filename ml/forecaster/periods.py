"""Periods of the calendar: days, weeks from Monday, and months."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Integers
from ml.forecaster.forecasts import Granularity

WEEK = 7


def weekdays(days: NDArray[np.datetime64]) -> Integers:
    """The weekday of each day, 0 for Monday, shape of `days`."""
    return (days.astype("datetime64[D]").astype(np.int64) + 3) % WEEK


def period_starts(days: NDArray[np.datetime64], granularity: Granularity) -> Integers:
    """The indices at which periods start in consecutive days. The first period may be cut off at its start."""
    periods = _first_days(days, granularity)
    return np.flatnonzero(np.append(True, periods[1:] != periods[:-1]))


def first_days(days: NDArray[np.datetime64], granularity: Granularity) -> list[date]:
    """The first day of each day's period."""
    return [day.item() for day in _first_days(days, granularity)]


def _first_days(days: NDArray[np.datetime64], granularity: Granularity) -> NDArray[np.datetime64]:
    days = days.astype("datetime64[D]")
    if granularity == "week":
        return days - weekdays(days)
    return days.astype("datetime64[M]").astype("datetime64[D]") if granularity == "month" else days
