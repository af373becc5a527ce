"""Holidays and closures."""

from datetime import date

import numpy as np
import pytest

from ml.forecaster.arrays import Booleans
from ml.forecaster.closures import weekly_closures, yearly_closures
from ml.forecaster.holidays import days_from_christmas, days_from_easter

TWO_YEARS = np.arange("2010-01-01", "2013-01-01", dtype="datetime64[D]")
SEEN = 731
SATURDAY = 5


def idle(*days: str) -> Booleans:
    """Days without a sale: Saturdays, and these, in the first two years."""
    weekday = (TWO_YEARS.astype(int) + 3) % 7
    without: Booleans = (weekday == SATURDAY) | np.isin(TWO_YEARS, np.array(days, dtype="datetime64[D]"))
    return without[:SEEN]


@pytest.mark.parametrize("day", [date(1818, 3, 22), date(2000, 4, 23), date(2011, 4, 24), date(2038, 4, 25)])
def test_easter_is_when_the_church_has_it(day: date) -> None:
    assert days_from_easter(np.array([day], dtype="datetime64[D]")).tolist() == [0]


def test_days_are_counted_from_the_nearest_feast() -> None:
    days = np.array(["2010-12-24", "2011-01-02", "2011-04-26"], dtype="datetime64[D]")
    assert days_from_christmas(days).tolist()[:2] == [-1, 8]
    assert days_from_easter(days).tolist()[2] == 2


def test_a_weekday_without_a_sale_for_eight_weeks_rests() -> None:
    rests = weekly_closures(idle(), TWO_YEARS)
    assert {day.item().weekday() for day in TWO_YEARS[rests]} == {SATURDAY}


def test_one_sale_in_eight_weeks_ends_the_rest() -> None:
    sold = idle()
    sold[np.flatnonzero(sold)[-3]] = False
    assert not weekly_closures(sold, TWO_YEARS).any()


def test_holidays_kept_two_years_are_expected_again() -> None:
    christmas, good_friday, spring = ("2010-12-25", "2011-12-25"), ("2010-04-02", "2011-04-22"), ("2010-05-31", "2011-05-30")
    rests = yearly_closures(idle(*christmas, *good_friday, *spring), TWO_YEARS)
    assert [str(day) for day in TWO_YEARS[rests]] == ["2012-04-06", "2012-05-28", "2012-12-25"]


def test_a_day_shut_once_is_not_expected_again() -> None:
    assert not yearly_closures(idle("2011-04-29"), TWO_YEARS).any()
