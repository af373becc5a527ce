"""Many forecasts in one call."""

from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from hashiramart.forecaster.v1 import forecaster_pb2
from tests.ml.forecaster.shop import DAYS, OPENING
from tests.services.errors import fails_with
from tests.services.forecaster.calendar_keeper import CalendarKeeper
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica


@pytest.fixture(autouse=True, scope="module")
def promoted(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> None:
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)


def test_each_forecast_of_a_batch_is_that_of_its_series(staff: Planner) -> None:
    batch = staff.batch(horizon_days=28, levels=[80], metric=forecaster_pb2.METRIC_REVENUE, granularity=forecaster_pb2.GRANULARITY_WEEK)
    assert [each.key for each in batch] == ["bowl", "coffee", "mug", "plate", "tea"]
    for each in batch:
        alone = staff.forecast(
            product_id=each.key,
            horizon_days=28,
            levels=[80],
            metric=forecaster_pb2.METRIC_REVENUE,
            granularity=forecaster_pb2.GRANULARITY_WEEK,
        )
        assert each.points == alone.points
        assert (each.model_version, each.time_zone) == (alone.model_version, alone.time_zone)


def test_a_batch_is_of_a_level_or_of_a_category(staff: Planner) -> None:
    assert [each.key for each in staff.batch(level=forecaster_pb2.SERIES_LEVEL_COUNTRY)] == ["France", "United Kingdom"]
    assert [each.key for each in staff.batch(level=forecaster_pb2.SERIES_LEVEL_SHOP)] == [""]
    assert [each.key for each in staff.batch(category="Drinks")] == ["coffee", "tea"]


def test_a_batch_knows_the_calendar(staff: Planner, calendar: CalendarKeeper) -> None:
    closure = calendar.create("closure", (OPENING + timedelta(days=DAYS + 2)).isoformat())
    assert {each.points[2].mean for each in staff.batch(horizon_days=7)} == {0}
    calendar.delete(closure.id)


def test_what_there_is_not_is_an_error(staff: Planner) -> None:
    with fails_with(grpc.StatusCode.NOT_FOUND, "SERIES_NOT_FOUND"):
        staff.batch(category="Furniture")
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.batch(category="Drinks", level=forecaster_pb2.SERIES_LEVEL_COUNTRY)
    assert set(violations) == {"category"}


def test_batches_are_for_staff(customer: Planner) -> None:
    with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        customer.batch()
