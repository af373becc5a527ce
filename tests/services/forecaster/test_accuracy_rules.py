"""The rules of alarms."""

from datetime import date

import pytest

from services.forecaster.accuracy import Alarm, AlarmKind, AlarmState, ScoreSums, Thresholds, judge

THRESHOLDS = Thresholds(error_ratio=1.5, bias=0.2, coverage=0.7, stale_days=14)
WEEK = ScoreSums("week", "shop", 1, 7, 7, 100.0, 10.0, 30.0, 25.0, 6, 4, 6)


def alarm(kind: AlarmKind, *sums: ScoreSums, model: date | None = date(2011, 3, 1), sales: date | None = date(2011, 3, 1)) -> Alarm:
    return next(each for each in judge(sums, model, sales, THRESHOLDS) if each.watched == kind and each.kind in (None, "shop"))


def test_the_error_is_judged_beside_that_of_the_backtest() -> None:
    assert alarm(AlarmKind.ERROR, WEEK) == Alarm(AlarmKind.ERROR, "shop", 30 / 25, 1.5)
    assert alarm(AlarmKind.ERROR, WEEK).state == AlarmState.OK
    assert alarm(AlarmKind.ERROR, WEEK._replace(absolute_error=38.0)).state == AlarmState.FIRING


@pytest.mark.parametrize("error", [21.0, -21.0])
def test_a_bias_fires_in_both_directions(error: float) -> None:
    assert alarm(AlarmKind.BIAS, WEEK).state == AlarmState.OK
    assert alarm(AlarmKind.BIAS, WEEK._replace(error=error)).state == AlarmState.FIRING


def test_a_coverage_fires_if_it_is_too_low() -> None:
    assert alarm(AlarmKind.COVERAGE, WEEK).state == AlarmState.OK
    assert alarm(AlarmKind.COVERAGE, WEEK._replace(covered_95=4)).state == AlarmState.FIRING


def test_a_model_is_stale_after_so_many_days_of_sales() -> None:
    assert alarm(AlarmKind.STALENESS, sales=date(2011, 3, 15)).state == AlarmState.OK
    assert alarm(AlarmKind.STALENESS, sales=date(2011, 3, 16)).state == AlarmState.FIRING
    # Sales may be withdrawn.
    assert alarm(AlarmKind.STALENESS, sales=date(2011, 2, 1)).value == 0


def test_alarms_look_at_the_last_week_and_the_horizons_of_the_backtest() -> None:
    others = WEEK._replace(period="quarter", absolute_error=1000.0), WEEK._replace(last_horizon_day=91, absolute_error=1000.0)
    assert alarm(AlarmKind.ERROR, WEEK, *others).value == 30 / 25


def test_without_data_there_is_no_alarm() -> None:
    assert {each.state for each in judge([], None, None, THRESHOLDS)} == {AlarmState.NO_DATA}
    assert alarm(AlarmKind.STALENESS, model=None).state == AlarmState.NO_DATA
