"""Promotions in the calendar: what forecasts make of those to come."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hashiramart.forecaster.v1 import forecaster_pb2
from tests.ml.forecaster.shop import COUNTRIES, DAYS, OPENING, PRODUCTS
from tests.services.forecaster.calendar_keeper import CalendarKeeper
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica

THROUGH = OPENING + timedelta(days=DAYS - 1)
FIRST, LAST = THROUGH + timedelta(days=3), THROUGH + timedelta(days=9)
METRICS = (forecaster_pb2.METRIC_UNITS, forecaster_pb2.METRIC_REVENUE)


@pytest.fixture(autouse=True, scope="module")
def promoted(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> None:
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)


@pytest.fixture
def drinks_cheaper(calendar: CalendarKeeper) -> Iterator[None]:
    entry = calendar.create("promotion", FIRST.isoformat(), LAST.isoformat(), category="Drinks", discount_percent=20)
    yield
    calendar.delete(entry.id)


def in_promotion(point: forecaster_pb2.ForecastPoint) -> bool:
    return FIRST.isoformat() <= point.date <= LAST.isoformat()


def sums(series: Iterable[Iterable[forecaster_pb2.ForecastPoint]]) -> list[float]:
    """The sum of the means of each period."""
    return [sum(point.mean for point in period) for period in zip(*series, strict=True)]


def test_a_promotion_to_come_sells_more_on_its_days_until_it_is_deleted(staff: Planner, calendar: CalendarKeeper) -> None:
    before = staff.forecast(product_id="tea").points
    mug = staff.forecast(product_id="mug").points
    entry = calendar.create("promotion", FIRST.isoformat(), LAST.isoformat(), product_id="tea", discount_percent=20)
    during = staff.forecast(product_id="tea").points
    assert staff.forecast(product_id="mug").points == mug
    calendar.delete(entry.id)
    for old, new in zip(before, during, strict=True):
        assert new.mean > old.mean if in_promotion(old) and old.mean else new == old
    assert staff.forecast(product_id="tea").points == before


def test_a_promotion_of_what_the_model_does_not_know_or_of_the_past_changes_nothing(staff: Planner, calendar: CalendarKeeper) -> None:
    before = staff.forecast().points
    days = FIRST.isoformat(), LAST.isoformat()
    far = (THROUGH + timedelta(days=400)).isoformat()
    entries = [
        calendar.create("promotion", *days, product_id="unknown", discount_percent=20),
        calendar.create("promotion", *days, category="Unknown", discount_percent=20),
        calendar.create("promotion", (THROUGH - timedelta(days=30)).isoformat(), THROUGH.isoformat(), discount_percent=20),
        calendar.create("promotion", far, far, discount_percent=20),
        calendar.create("holiday", *days),
    ]
    after = staff.forecast().points
    for entry in entries:
        calendar.delete(entry.id)
    assert after == before


@pytest.mark.usefixtures("drinks_cheaper")
def test_sums_add_up_on_every_level_also_for_a_scenario_on_top(staff: Planner) -> None:
    scenario = {"price_changes": [{"product_id": "tea", "change_percent": 5}], "closed_dates": [FIRST.isoformat()]}
    for metric in METRICS:
        common = {"metric": metric, "scenario": scenario, "granularity": forecaster_pb2.GRANULARITY_WEEK}
        shop = staff.forecast(**common)
        for level, names in (("product_id", PRODUCTS), ("category", {"Drinks", "Dishes"}), ("country", COUNTRIES)):
            parts = [staff.forecast(**common, **{level: name}) for name in names]
            assert sums(part.points for part in parts) == pytest.approx(sums([shop.points])), level
            assert sums(part.scenario.points for part in parts) == pytest.approx(sums([shop.scenario.points])), level
        difference = shop.scenario.units if metric == forecaster_pb2.METRIC_UNITS else shop.scenario.revenue
        weeks = zip(shop.points, shop.scenario.points, strict=True)
        assert difference.mean == pytest.approx(sum(other.mean - point.mean for point, other in weeks))


@pytest.mark.usefixtures("drinks_cheaper")
@pytest.mark.parametrize("metric", METRICS)
def test_an_explanation_names_the_promotion_and_adds_up(staff: Planner, metric: int) -> None:
    for day in staff.explain(metric=metric, horizon_days=14, category="Drinks").explanations:
        assert day.baseline + sum(each.amount for each in day.contributions) == pytest.approx(day.mean)
        named = [each for each in day.contributions if each.feature == "promotion"]
        assert bool(named) == (FIRST.isoformat() <= day.date <= LAST.isoformat() and day.mean > 0)
        assert all(each.amount > 0 for each in named) or metric == forecaster_pb2.METRIC_REVENUE


@pytest.mark.usefixtures("drinks_cheaper")
def test_batches_have_the_same_forecasts(staff: Planner) -> None:
    batch = {each.key: list(each.points) for each in staff.batch(horizon_days=28)}
    assert {name: list(staff.forecast(product_id=name).points) for name in PRODUCTS} == batch
