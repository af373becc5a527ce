"""Forecasts, explanations and backtests, as staff get them."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow.compute as pc
import pytest

from hashiramart.forecaster.v1.forecaster_pb2 import (
    GRANULARITY_DAY,
    GRANULARITY_MONTH,
    GRANULARITY_WEEK,
    METRIC_REVENUE,
    METRIC_UNITS,
)
from tests.ml.forecaster.shop import COUNTRIES, DAYS, OPENING, PRICES, PRODUCTS, daily_sales
from tests.services.errors import fails_with
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica

THROUGH = OPENING + timedelta(days=DAYS - 1)
TOMORROW = THROUGH + timedelta(days=1)
CATEGORIES = sorted(set(PRODUCTS.values()))
SCOPES: list[dict[str, str]] = [
    {},
    *({"category": name} for name in CATEGORIES),
    *({"country": name} for name in COUNTRIES),
    *({"product_id": name} for name in PRODUCTS),
]
METRICS = (METRIC_UNITS, METRIC_REVENUE)


@pytest.fixture(autouse=True, scope="module")
def promoted(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> str:
    """The version that is served."""
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)
    return number


def test_the_default_is_four_weeks_of_units_by_day(staff: Planner, promoted: str) -> None:
    response = staff.forecast()
    assert [point.date for point in response.points] == [(TOMORROW + timedelta(days=day)).isoformat() for day in range(28)]
    assert {(point.day_count, *(band.level for band in point.bands)) for point in response.points} == {(1, 80, 95)}
    assert len(response.history) == 56
    assert (response.metric, response.granularity, response.currency_code) == (METRIC_UNITS, GRANULARITY_DAY, "")
    assert (response.data_through_date, response.model_version) == (THROUGH.isoformat(), promoted)
    assert response.time_zone == "Europe/London"


@pytest.mark.parametrize("metric", METRICS)
def test_means_add_up_to_those_of_the_shop(staff: Planner, metric: int) -> None:
    def summed(field: str, names: list[str]) -> list[float]:
        return [sum(day) for day in zip(*(staff.means(horizon_days=182, metric=metric, **{field: name}) for name in names), strict=True)]

    shop = staff.means(horizon_days=182, metric=metric)
    assert sum(shop) > 0
    assert summed("category", CATEGORIES) == pytest.approx(shop)
    assert summed("country", list(COUNTRIES)) == pytest.approx(shop)
    for category in CATEGORIES:
        of_category = [product for product, its in PRODUCTS.items() if its == category]
        assert summed("product_id", of_category) == pytest.approx(staff.means(horizon_days=182, metric=metric, category=category))


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_forecasts_are_close_to_recent_sales(staff: Planner, scope: dict[str, str]) -> None:
    response = staff.forecast(granularity=GRANULARITY_WEEK, horizon_days=29, history_days=28, **scope)
    assert [point.mean for point in response.points[1:]] == pytest.approx(
        [np.mean([sold.value for sold in response.history])] * 4, rel=0.35
    )


def test_nothing_is_sold_on_closed_days(staff: Planner) -> None:
    for point in staff.forecast(horizon_days=182).points:
        ends = [end for band in point.bands for end in (band.lower, band.upper)]
        assert (max(point.mean, point.median, *ends) == 0) == (date.fromisoformat(point.date).weekday() == 6)


@pytest.mark.parametrize("granularity", [GRANULARITY_DAY, GRANULARITY_WEEK, GRANULARITY_MONTH])
def test_bands_are_nested_narrowest_first(staff: Planner, granularity: int) -> None:
    for point in staff.forecast(levels=[95, 20, 60], granularity=granularity, horizon_days=100).points:
        assert [band.level for band in point.bands] == [20, 60, 95]
        for inner, outer in pairwise(point.bands):
            assert 0 <= outer.lower <= inner.lower <= point.median <= inner.upper <= outer.upper


@pytest.mark.parametrize(
    ("granularity", "start"),
    [
        (GRANULARITY_WEEK, lambda day: day - timedelta(days=day.weekday())),
        (GRANULARITY_MONTH, lambda day: day.replace(day=1)),
    ],
    ids=["week", "month"],
)
def test_periods_sum_up_the_days_within_the_horizon(staff: Planner, granularity: int, start: Callable[[date], date]) -> None:
    fields: dict[str, Any] = {"horizon_days": 75, "history_days": 75, "product_id": "tea"}
    days, periods = staff.forecast(**fields), staff.forecast(granularity=granularity, **fields)
    for by_day, by_period, value in ((days.points, periods.points, "mean"), (days.history, periods.history, "value")):
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        for day in by_day:
            first = start(date.fromisoformat(day.date)).isoformat()
            sums[first] = sums.get(first, 0) + getattr(day, value)
            counts[first] = counts.get(first, 0) + 1
        assert {period.date: period.day_count for period in by_period} == counts
        assert {period.date: getattr(period, value) for period in by_period} == pytest.approx(sums)


def test_the_history_has_the_actual_sales(staff: Planner) -> None:
    sales = daily_sales()
    history = {sold.date: sold.value for sold in staff.forecast(country="France", history_days=DAYS).history}
    assert len(history) == DAYS
    for day in (OPENING, OPENING + timedelta(days=6), THROUGH):
        lines = sales.filter((pc.field("date") == day) & (pc.field("country") == "France"))
        assert history[day.isoformat()] == (pc.sum(lines["units"]).as_py() or 0)


def test_the_history_ends_where_the_forecast_begins_and_is_optional(staff: Planner) -> None:
    assert [sold.date for sold in staff.forecast(history_days=1).history] == [THROUGH.isoformat()]
    assert not staff.forecast(history_days=0).history
    assert len(staff.forecast(history_days=739).history) == DAYS


def test_revenue_is_units_times_price_in_the_shops_currency(staff: Planner) -> None:
    units, revenue = (staff.forecast(product_id="mug", metric=metric, history_days=7) for metric in METRICS)
    assert (revenue.metric, revenue.currency_code) == (METRIC_REVENUE, "GBP")
    for field in ("history", "points"):
        value = {"history": "value", "points": "median"}[field]
        amounts = [getattr(each, value) * PRICES["mug"] for each in getattr(units, field)]
        assert [getattr(each, value) for each in getattr(revenue, field)] == pytest.approx(amounts)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_explanations_add_up_to_the_mean(staff: Planner, scope: dict[str, str], metric: int) -> None:
    response = staff.explain(metric=metric, horizon_days=9, **scope)
    assert [day.mean for day in response.explanations] == staff.means(metric=metric, horizon_days=9, **scope)
    for day in response.explanations:
        assert day.baseline + sum(each.amount for each in day.contributions) == pytest.approx(day.mean)


def test_contributions_are_sorted_by_strength_and_small_ones_are_summed_up_last(staff: Planner, promoted: str) -> None:
    response = staff.explain()
    assert (len(response.explanations), response.data_through_date, response.model_version) == (28, THROUGH.isoformat(), promoted)
    for day in response.explanations:
        *named, last = day.contributions
        sizes = [abs(each.amount) for each in (named if last.feature == "other" else day.contributions)]
        assert sizes == sorted(sizes, reverse=True)
        assert all(each.text for each in day.contributions)
    assert {day.contributions[-1].feature for day in response.explanations if day.mean} == {"other"}


def test_a_closed_day_is_explained_by_the_closure(staff: Planner) -> None:
    [sunday] = staff.explain(horizon_days=1).explanations
    assert date.fromisoformat(sunday.date).weekday() == 6
    assert [each.feature for each in sunday.contributions] == ["shut"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope != {"product_id": "bowl"}], ids=str)
def test_the_backtest_has_the_forecasts_beside_the_actual_sales(staff: Planner, promoted: str, scope: dict[str, str], metric: int) -> None:
    backtest = staff.backtest(metric=metric, **scope)
    history = staff.forecast(metric=metric, history_days=DAYS, **scope).history
    assert [(point.date, point.actual) for point in backtest.points] == [(sold.date, sold.value) for sold in history[-84:]]
    assert [point.origin_date for point in backtest.points[::28]] == [(THROUGH - timedelta(days=days)).isoformat() for days in (84, 56, 28)]
    assert {tuple(band.level for band in point.bands) for point in backtest.points} == {(80, 95)}
    sold = [point for point in backtest.points if date.fromisoformat(point.date).weekday() != 6]
    for level in (0, 1):
        held = np.mean([point.bands[level].lower <= point.actual <= point.bands[level].upper for point in sold])
        assert backtest.coverage[level].measured == pytest.approx(held)
    actual, mean, median = (np.array([getattr(point, name) for point in backtest.points]) for name in ("actual", "mean", "median"))
    before = np.array([sold.value for sold in history[:-84]])
    assert backtest.mase == pytest.approx(np.abs(actual - median).mean() / np.abs(before[7:] - before[:-7]).mean())
    assert backtest.rmsse == pytest.approx(np.sqrt(((actual - mean) ** 2).mean() / ((before[1:] - before[:-1]) ** 2).mean()))
    assert backtest.bias == pytest.approx((mean - actual).sum() / actual.sum())
    assert backtest.model_version == promoted


def test_a_series_that_is_too_new_has_no_scaled_errors(staff: Planner) -> None:
    backtest = staff.backtest(product_id="bowl")
    assert not backtest.HasField("mase")
    assert not backtest.HasField("rmsse")


@pytest.mark.parametrize("scope", [{"product_id": "sofa"}, {"category": "drinks"}, {"country": "Malta"}], ids=str)
def test_an_unknown_series_is_not_found(staff: Planner, scope: dict[str, str]) -> None:
    for call in (staff.forecast, staff.explain, staff.backtest):
        with fails_with(grpc.StatusCode.NOT_FOUND, "SERIES_NOT_FOUND"):
            call(**scope)


@pytest.mark.parametrize(
    "fields",
    [
        {"horizon_days": 183},
        {"horizon_days": -1},
        {"levels": [100]},
        {"levels": [80, 80]},
        {"levels": [10, 20, 30, 40, 50, 60]},
        {"history_days": 740},
        {"granularity": 4},
        {"metric": 3},
        {"product_id": "a b"},
        {"category": ""},
    ],
    ids=str,
)
def test_requests_against_the_contract_are_invalid(staff: Planner, fields: dict[str, Any]) -> None:
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"):
        staff.forecast(**fields)


def test_forecasts_are_for_staff_only(customer: Planner) -> None:
    for call in (customer.forecast, customer.explain, customer.backtest, customer.series):
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()
