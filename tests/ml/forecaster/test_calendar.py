"""Holidays and closures."""

from datetime import date

import numpy as np
import pytest

from ml.forecaster.arrays import Booleans
from ml.forecaster.closures import weekly_closures, yearly_closures
from ml.forecaster.holidays import days_from_christmas, days_from_easter

DAYS = np.arange("2010-01-01", "2013-01-01", dtype="datetime64[D]")
SEEN = 731
SATURDAY = 5


def idle(*days: str) -> Booleans:
    """Whether each day of the first two years has no sale: Saturdays, and the given days."""
    weekday = (DAYS.astype(int) + 3) % 7
    without: Booleans = (weekday == SATURDAY) | np.isin(DAYS, np.array(days, dtype="datetime64[D]"))
    return without[:SEEN]


@pytest.mark.parametrize("day", [date(1818, 3, 22), date(2000, 4, 23), date(2011, 4, 24), date(2038, 4, 25)])
def test_easter_is_on_its_known_dates(day: date) -> None:
    assert days_from_easter(np.array([day], dtype="datetime64[D]")).tolist() == [0]


def test_days_are_counted_from_the_nearest_holiday() -> None:
    days = np.array(["2010-12-24", "2011-01-02", "2011-04-26"], dtype="datetime64[D]")
    assert days_from_christmas(days).tolist()[:2] == [-1, 8]
    assert days_from_easter(days).tolist()[2] == 2


def test_a_weekday_without_a_sale_for_eight_weeks_is_closed() -> None:
    closed = weekly_closures(idle(), DAYS)
    assert {day.item().weekday() for day in DAYS[closed]} == {SATURDAY}


def test_one_sale_in_eight_weeks_ends_the_closure() -> None:
    sold = idle()
    sold[np.flatnonzero(sold)[-3]] = False
    assert not weekly_closures(sold, DAYS).any()


def test_holidays_observed_in_two_years_are_expected_again() -> None:
    christmas, good_friday, spring = ("2010-12-25", "2011-12-25"), ("2010-04-02", "2011-04-22"), ("2010-05-31", "2011-05-30")
    closed = yearly_closures(idle(*christmas, *good_friday, *spring), DAYS)
    assert [str(day) for day in DAYS[closed]] == ["2012-04-06", "2012-05-28", "2012-12-25"]


def test_a_day_closed_once_is_not_expected_again() -> None:
    assert not yearly_closures(idle("2011-04-29"), DAYS).any()
