"""What if: forecasts of scenarios, beside those without them."""

from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from hashiramart.forecaster.v1 import forecaster_pb2
from tests.ml.forecaster.shop import COUNTRIES, DAYS, OPENING, PRODUCTS
from tests.services.errors import fails_with
from tests.services.forecaster.calendar_keeper import CalendarKeeper
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica

FIRST = OPENING + timedelta(days=DAYS)
DEARER = {"price_changes": [{"product_id": "tea", "change_percent": 5}]}
PROMOTION = {"discount_percent": 20, "first_date": FIRST.isoformat(), "last_date": (FIRST + timedelta(days=6)).isoformat()}
CHEAPER = {"promotions": [{"category": "Drinks", **PROMOTION}]}


@pytest.fixture(autouse=True, scope="module")
def promoted(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> None:
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)


def means(points: "list[forecaster_pb2.ForecastPoint]") -> list[float]:
    return [point.mean for point in points]


def test_a_dearer_product_sells_less_on_every_day_and_the_baseline_stays(staff: Planner) -> None:
    response = staff.forecast(product_id="tea", scenario=DEARER)
    assert means([*response.points]) == staff.means(product_id="tea")
    for point, with_scenario in zip(response.points, response.scenario.points, strict=True):
        assert with_scenario.mean < point.mean or point.mean == 0
        assert with_scenario.bands[0].upper <= point.bands[0].upper
    assert response.scenario.units.lower <= response.scenario.units.mean < 0
    assert response.scenario.units.upper <= 0
    assert response.scenario.units.mean == pytest.approx(sum(means([*response.scenario.points])) - sum(means([*response.points])))


def test_a_promotion_never_lowers_its_own_products_and_ends(staff: Planner) -> None:
    response = staff.forecast(category="Drinks", scenario=CHEAPER)
    pairs = [(point.mean, other.mean) for point, other in zip(response.points, response.scenario.points, strict=True)]
    assert all(other > point for point, other in pairs[:7] if point)
    assert all(other == point for point, other in pairs[7:])
    assert response.scenario.units.mean > 0
    assert response.scenario.units.lower >= 0


def test_sums_add_up_on_every_level_of_a_scenario(staff: Planner) -> None:
    scenario = {**CHEAPER, **DEARER, "closed_dates": [(FIRST + timedelta(days=3)).isoformat()]}
    for metric in (forecaster_pb2.METRIC_UNITS, forecaster_pb2.METRIC_REVENUE):
        common = {"metric": metric, "scenario": scenario, "granularity": forecaster_pb2.GRANULARITY_WEEK}
        shop = means([*staff.forecast(**common).scenario.points])
        for level, names in (("product_id", PRODUCTS), ("category", {"Drinks", "Dishes"}), ("country", COUNTRIES)):
            parts = [means([*staff.forecast(**common, **{level: name}).scenario.points]) for name in names]
            assert [sum(column) for column in zip(*parts, strict=True)] == pytest.approx(shop), level


def test_a_closed_day_of_a_scenario_sells_nothing_and_is_not_entered(staff: Planner, calendar: CalendarKeeper) -> None:
    closed = (FIRST + timedelta(days=2)).isoformat()
    response = staff.forecast(horizon_days=7, scenario={"closed_dates": [closed]})
    assert [point.mean for point in response.scenario.points if point.date == closed] == [0]
    assert response.scenario.units.mean == pytest.approx(-response.points[2].mean)
    assert "1 more closed days" in response.scenario.statement
    assert (list(response.closed_dates), len(calendar.page().entries)) == ([], 0)


def test_what_no_week_has_seen_is_said(staff: Planner) -> None:
    """The shop has never changed a price."""
    scenario = staff.forecast(scenario=CHEAPER).scenario
    assert (scenario.changed_product_count, scenario.unseen_product_count) == (2, 2)
    assert scenario.statement.startswith("2 of 2 products have never had such a price")
    assert staff.forecast(scenario={}).scenario.statement == "The scenario changes nothing."


@pytest.mark.parametrize(
    ("scenario", "field"),
    [
        ({"price_changes": [{"change_percent": 5, "first_date": "2011-02-30"}]}, "scenario.price_changes[0].first_date"),
        ({"price_changes": [{"change_percent": 5, "first_date": "2019-01-01"}]}, "scenario.price_changes[0].first_date"),
        ({"price_changes": [{"change_percent": 5, "product_id": "tea", "category": "Drinks"}]}, "scenario.price_changes[0].category"),
        ({"price_changes": [{"change_percent": -95}]}, "scenario.price_changes[0].change_percent"),
        ({"promotions": [{**PROMOTION, "discount_percent": 0}]}, "scenario.promotions[0].discount_percent"),
        ({"closed_dates": [OPENING.isoformat()]}, "scenario.closed_dates[0]"),
    ],
    ids=str,
)
def test_a_scenario_that_cannot_be_names_the_field(staff: Planner, scenario: dict[str, object], field: str) -> None:
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.forecast(scenario=scenario)
    assert set(violations) == {field}


def test_a_scenario_of_an_unknown_product_is_an_error(staff: Planner) -> None:
    with fails_with(grpc.StatusCode.NOT_FOUND, "SERIES_NOT_FOUND"):
        staff.forecast(scenario={"price_changes": [{"product_id": "vase", "change_percent": 5}]})
