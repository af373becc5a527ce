"""Closures: the days to come on which a shop will be shut, as its past suggests."""

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.holidays import days_from_easter
from ml.forecaster.periods import WEEK, weekdays

# A weekday without a sale in so many weeks is one on which the shop is shut.
CLOSED_WEEKS = 8
# A holiday is expected again once it was observed in so many years.
MIN_YEARS = 2
# A run of steps without any sale is a closure if it is less likely than this by chance.
MAX_CHANCE = 1e-4


def idle_steps(values: Floats) -> Booleans:
    """The steps on which no series sold anything although, by how often each sells, that is no chance, shape (T,).

    values: shape (n, T); NaN is unknown
    """
    known, sold = ~np.isnan(values), np.nan_to_num(values) != 0
    idle: Booleans = ~sold.any(axis=0) & known.any(axis=0)
    share = 1 - sold.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    # The logarithm of the chance that all known series rest, summed over each run of such steps.
    chance = np.where(known, np.log(np.maximum(share, 1e-12))[:, None], 0.0).sum(axis=0)
    run = np.cumsum(np.diff(idle, prepend=False) != 0)
    total = np.bincount(run, np.where(idle, chance, 0.0))
    closed: Booleans = idle & (total[run] < np.log(MAX_CHANCE))
    return closed


def weekly_closures(idle: Booleans, times: NDArray[np.datetime64]) -> Booleans:
    """Whether each day falls on a weekday that had no sale in the last eight weeks, shape (T + H,).

    idle: whether the whole shop sold nothing on a day, shape (T,)
    times: the days seen and to come, shape (T + H,)
    """
    phase = np.arange(len(times)) % WEEK
    recent = idle[-WEEK * CLOSED_WEEKS :]
    if len(recent) < WEEK * CLOSED_WEEKS:
        return np.zeros(len(times), dtype=bool)
    recent_phase = phase[len(idle) - len(recent) : len(idle)]
    closed = [weekday for weekday in range(WEEK) if recent[recent_phase == weekday].all()]
    return np.isin(phase, closed)


def yearly_closures(idle: Booleans, times: NDArray[np.datetime64]) -> Booleans:
    """Whether each day to come is a holiday on which the shop was shut in every year seen, two at least, shape (T + H,).

    Holidays recur by their distance from Easter (a week at most), by their date, or as the first, second … or last of a weekday in a month.
    A closure is explained by the first rule that fits, and a weekly closure is no holiday.

    idle: whether the whole shop sold nothing on a day, shape (T,)
    times: the days seen and to come, shape (T + H,)
    """
    seen = len(idle)
    holiday = np.zeros(len(times), dtype=bool)
    unexplained = idle & ~weekly_closures(idle, times)[:seen]
    for codes in _holiday_codes(times.astype("datetime64[D]")):
        recurring = np.zeros(len(times), dtype=bool)
        for code in np.unique(codes[:seen][unexplained]):
            same = codes == code
            past = same[:seen]
            if code and past.sum() >= MIN_YEARS and idle[past].all():
                recurring |= same
        unexplained = unexplained & ~recurring[:seen]
        holiday |= recurring
    holiday[:seen] = False
    return holiday


def _holiday_codes(days: NDArray[np.datetime64]) -> list[Integers]:
    """Codes that identify each day within a year by four rules, each of shape (T,); 0 where a rule does not apply."""
    months = days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    day = (days - months).astype(np.int64)
    days_left = ((months + 1).astype("datetime64[D]") - days).astype(np.int64) - 1
    weekday = weekdays(days)
    from_easter = days_from_easter(days)
    return [
        np.where(np.abs(from_easter) <= WEEK, from_easter + WEEK + 1, 0),
        month * 100 + day + 1,
        np.where(days_left < WEEK, month * 100 + weekday + 1, 0),
        month * 100 + weekday * 10 + day // WEEK + 1,
    ]
