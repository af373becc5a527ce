"""What the calendar says of a day: Easter, Christmas, and when a shop rests."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

WEEK = 7
# How long a weekday must have been without a sale to count as one on which the shop is shut.
REST_WEEKS = 8
# In how many years a holiday must have been kept to be expected again.
LEAST_YEARS = 2


def easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian algorithm (Nature, 1876)."""
    century, of_century = divmod(year, 100)
    leap_centuries, rest = divmod(century, 4)
    moon = (19 * (year % 19) + century - leap_centuries - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * rest + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (year % 19 + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def days_from_easter(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Days since the nearest Easter, negative before it, shape of `days`."""
    return nearest(days, [easter(year) for year in years(days)])


def days_from_christmas(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Days since the nearest Christmas Day, negative before it, shape of `days`."""
    return nearest(days, [date(year, 12, 25) for year in years(days)])


def weekly_rest(idle: NDArray[np.bool_], times: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Whether a day falls on a weekday that had no sale in the last eight weeks seen, shape (T + H,).

    idle: whether the whole shop sold nothing on a day, shape (T,)
    times: the days seen and to come, shape (T + H,)
    """
    phase = np.arange(len(times)) % WEEK
    recent = idle[-WEEK * REST_WEEKS :]
    if len(recent) < WEEK * REST_WEEKS:
        return np.zeros(len(times), dtype=bool)
    resting = [place for place in range(WEEK) if recent[phase[len(idle) - len(recent) : len(idle)] == place].all()]
    return np.isin(phase, resting)


def years(days: NDArray[np.datetime64]) -> range:
    """The years of the days, and one on either side."""
    first, last = (int(day.astype("datetime64[Y]").astype(int)) + 1970 for day in (days.min(), days.max()))
    return range(first - 1, last + 2)


def nearest(days: NDArray[np.datetime64], feasts: list[date]) -> NDArray[np.int64]:
    """Days since the nearest of the feasts, which are in order."""
    distance = days.astype("datetime64[D]")[:, None] - np.array(feasts, dtype="datetime64[D]")
    closest = np.abs(distance).argmin(axis=1)
    since: NDArray[np.int64] = distance[np.arange(len(days)), closest].astype(np.int64)
    return since


def yearly_rest(idle: NDArray[np.bool_], times: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Whether a day to come is one that the shop kept as a holiday in each year seen, two at least, shape (T + H,).

    Days are the same if they lie as far from Easter (by a week at most), have the same date, or are the first, second … or last of the
    same weekday in the same month. What one of these tells is not told again by the next, nor is the weekly rest told as a holiday.

    idle: whether the whole shop sold nothing on a day, shape (T,)
    times: the days seen and to come, shape (T + H,)
    """
    seen = len(idle)
    holiday = np.zeros(len(times), dtype=bool)
    strange = idle & ~weekly_rest(idle, times)[:seen]
    for kind in holiday_kinds(times.astype("datetime64[D]")):
        told = np.zeros(len(times), dtype=bool)
        for name in np.unique(kind[:seen][strange]):
            same = kind == name
            before = same[:seen]
            if name and before.sum() >= LEAST_YEARS and idle[before].all():
                told |= same
        strange = strange & ~told[:seen]
        holiday |= told
    holiday[:seen] = False
    return holiday


def holiday_kinds(days: NDArray[np.datetime64]) -> list[NDArray[np.int64]]:
    """What each day is called in a year, in four calendars, each of shape (T,): a code, 0 where the calendar has no name for it."""
    months = days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    day = (days - months).astype(np.int64)
    left = ((months + 1).astype("datetime64[D]") - days).astype(np.int64) - 1
    weekday = (days.astype(np.int64) + 3) % WEEK
    easter_day = days_from_easter(days)
    return [
        np.where(np.abs(easter_day) <= WEEK, easter_day + WEEK + 1, 0),
        month * 100 + day + 1,
        np.where(left < WEEK, month * 100 + weekday + 1, 0),
        month * 100 + weekday * 10 + day // WEEK + 1,
    ]
