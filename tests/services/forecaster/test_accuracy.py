"""The accuracy of the forecasts that were served, by the sales that the clean data has since."""

import math
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from minio.credentials.providers import StaticProvider
from prometheus_client import REGISTRY

from hashiramart.forecaster.v1 import accuracy_pb2, accuracy_pb2_grpc, forecaster_pb2, forecaster_pb2_grpc
from lake.bucket import Bucket, connect
from mesh.identity import Role
from tests.callers import Issuer
from tests.engines.stores import Minio
from tests.ml.forecaster.shop import DAYS, OPENING
from tests.services.errors import fails_with
from tests.services.forecaster.calendar_keeper import CalendarKeeper
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.published_sales import publish_sales
from tests.services.forecaster.replica import ForecasterReplica

THROUGH = OPENING + timedelta(days=DAYS - 1)
SHOP, PRODUCT = forecaster_pb2.SERIES_LEVEL_SHOP, forecaster_pb2.SERIES_LEVEL_PRODUCT
OK, FIRING, NO_DATA = (
    accuracy_pb2.FORECAST_ALARM_STATE_OK,
    accuracy_pb2.FORECAST_ALARM_STATE_FIRING,
    accuracy_pb2.FORECAST_ALARM_STATE_NO_DATA,
)
ERROR, BIAS, COVERAGE, STALENESS = (
    accuracy_pb2.FORECAST_ALARM_KIND_ERROR,
    accuracy_pb2.FORECAST_ALARM_KIND_BIAS,
    accuracy_pb2.FORECAST_ALARM_KIND_COVERAGE,
    accuracy_pb2.FORECAST_ALARM_KIND_STALENESS,
)


class Watcher:
    """Reads the accuracy as one user."""

    def __init__(self, channel: grpc.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = accuracy_pb2_grpc.ForecastAccuracyServiceStub(channel)
        self._metadata = metadata

    def accuracy(self) -> accuracy_pb2.ForecastAccuracy:
        return self._stub.GetForecastAccuracy(accuracy_pb2.GetForecastAccuracyRequest(), metadata=self._metadata, timeout=10)

    def outliers(self, **fields: Any) -> accuracy_pb2.ListForecastOutliersResponse:
        request = accuracy_pb2.ListForecastOutliersRequest(**fields)
        return self._stub.ListForecastOutliers(request, metadata=self._metadata, timeout=10)

    def alarm(self, kind: int, level: int = SHOP) -> accuracy_pb2.ForecastAlarm:
        return next(each for each in self.accuracy().alarms if each.kind == kind and each.level in (0, level))

    def week(self, level: int, horizon: int) -> accuracy_pb2.LevelAccuracy:
        """The accuracy of the last week, of the horizons that begin with a day."""
        wanted = (accuracy_pb2.ACCURACY_PERIOD_WEEK, level, horizon)
        return next(each for each in self.accuracy().levels if (each.period, each.level, each.first_horizon_day) == wanted)


@pytest.fixture(scope="module")
def publisher(minio: Minio) -> Bucket:
    """The bucket of the clean data, as Spark writes it."""
    return connect(minio.store.endpoint, minio.store.region, "lake", StaticProvider(*minio.store.keys["spark"]))


@pytest.fixture(scope="module")
def lake(minio: Minio) -> Bucket:
    return connect(minio.store.endpoint, minio.store.region, "lake", StaticProvider(*minio.store.keys["training"]))


@pytest.fixture(scope="module")
def watcher(grpc_channel: grpc.Channel, grpc_stub: forecaster_pb2_grpc.ForecasterServiceStub, issuer: Issuer) -> Watcher:
    return Watcher(grpc_channel, issuer.metadata(Role.STAFF, "ann"))


@pytest.fixture(autouse=True, scope="module")
def served(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> str:
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)
    replica.keep_forecast()
    return number


@pytest.fixture(scope="module")
def sales(staff: Planner) -> dict[tuple[str, str, date], int]:
    """What comes true: all forecasts, but that tea sells a unit more on each open day, and 5,000 more on a Saturday."""
    sold: dict[tuple[str, str, date], int] = {}
    for forecast in staff.batch(horizon_days=8):
        for number, point in enumerate(forecast.points, start=1):
            day, units = THROUGH + timedelta(days=number), round(point.median)
            extra = 0 if forecast.key != "tea" or not units else 5000 if number == 7 else 1
            sold[forecast.key, "France", day] = units // 4 + extra
            sold[forecast.key, "United Kingdom", day] = units - units // 4
    return sold


@pytest.fixture(scope="module")
def scored(replica: ForecasterReplica, publisher: Bucket, sales: dict[tuple[str, str, date], int]) -> Iterator[None]:
    publish_sales(publisher, sales, THROUGH + timedelta(days=8), "1")
    replica.score()
    yield


def test_before_there_are_sales_there_is_nothing_to_judge_by(replica: ForecasterReplica, watcher: Watcher) -> None:
    replica.score()
    accuracy = watcher.accuracy()
    assert (accuracy.scored_through_date, accuracy.sales_through_date, len(accuracy.levels)) == ("", "", 0)
    assert {alarm.state for alarm in accuracy.alarms} == {NO_DATA}
    assert math.isnan(metric("forecaster_alarm_firing", "error", "shop"))


@pytest.mark.usefixtures("scored")
def test_the_scores_are_those_of_the_forecast_that_was_served(
    watcher: Watcher, staff: Planner, sales: dict[tuple[str, str, date], int]
) -> None:
    accuracy = watcher.accuracy()
    last = (THROUGH + timedelta(days=8)).isoformat()
    assert (accuracy.scored_through_date, accuracy.sales_through_date, accuracy.time_zone) == (last, last, "Europe/London")
    points = staff.forecast(horizon_days=8).points
    actual = [sum(units for (_, _, day), units in sales.items() if day.isoformat() == point.date) for point in points]
    # The last week begins on the second day.
    medians = sum(abs(point.median - units) for point, units in list(zip(points, actual, strict=True))[1:7])
    means = sum(point.mean - units for point, units in list(zip(points, actual, strict=True))[1:7])
    week = watcher.week(SHOP, horizon=1)
    assert (week.last_horizon_day, week.forecast_count) == (7, 6)
    assert week.error == pytest.approx(medians / sum(actual[1:7]), rel=1e-2)
    assert week.bias == pytest.approx(means / sum(actual[1:7]), abs=2e-3)
    assert [covered.level for covered in week.coverage] == [80, 95]
    assert 0 < week.backtest_error < 1
    assert watcher.week(PRODUCT, horizon=1).forecast_count == 6 * 5


@pytest.mark.usefixtures("scored")
def test_days_far_outside_of_their_band_are_listed(watcher: Watcher, served: str) -> None:
    [tea] = watcher.outliers(level=PRODUCT).outliers
    assert (tea.key, tea.model_version, tea.origin_date) == ("tea", served, THROUGH.isoformat())
    assert tea.date == (THROUGH + timedelta(days=7)).isoformat()
    assert tea.actual > 5000 > tea.upper > tea.mean > tea.lower
    assert tea.distance > 1
    # The category, the country and the shop had the same day.
    page = watcher.outliers(page_size=3)
    rest = watcher.outliers(page_size=3, page_token=page.next_page_token)
    assert (len(page.outliers), len(rest.outliers), rest.next_page_token) == (3, 1, "")
    distances = [each.distance for each in (*page.outliers, *rest.outliers)]
    assert distances == sorted(distances, reverse=True)


@pytest.mark.usefixtures("scored")
def test_alarms_fire_beyond_their_thresholds(watcher: Watcher) -> None:
    assert watcher.alarm(ERROR).state == FIRING
    assert watcher.alarm(ERROR).value > watcher.alarm(ERROR).threshold
    assert watcher.alarm(BIAS).state == FIRING
    assert watcher.alarm(BIAS).value < 0
    assert (watcher.alarm(STALENESS).state, watcher.alarm(STALENESS).value) == (OK, 8)
    assert metric("forecaster_alarm_firing", "error", "shop") == 1
    assert metric("forecaster_alarm_value", "staleness", "") == 8


@pytest.mark.usefixtures("scored")
def test_a_day_is_scored_once(
    replica: ForecasterReplica, publisher: Bucket, watcher: Watcher, sales: dict[tuple[str, str, date], int]
) -> None:
    before = watcher.accuracy().levels
    publish_sales(publisher, {key: 10 * units for key, units in sales.items()}, THROUGH + timedelta(days=8), "2")
    replica.score()
    assert watcher.accuracy().levels == before


@pytest.mark.usefixtures("scored")
def test_a_closure_that_is_made_later_counts_for_days_to_come(
    replica: ForecasterReplica, publisher: Bucket, watcher: Watcher, calendar: CalendarKeeper, sales: dict[tuple[str, str, date], int]
) -> None:
    # A Tuesday.
    day = THROUGH + timedelta(days=10)
    closure = calendar.create("closure", day.isoformat())
    replica.keep_forecast()
    publish_sales(publisher, {**sales, ("mug", "France", day): 100}, THROUGH + timedelta(days=15), "3")
    replica.score()
    found = watcher.outliers(level=PRODUCT, page_size=100).outliers
    [mug] = [each for each in found if (each.key, each.date) == ("mug", day.isoformat())]
    assert (mug.mean, mug.upper, mug.distance) == (0, 0, 100)
    assert (watcher.alarm(STALENESS).state, watcher.alarm(STALENESS).value) == (FIRING, 15)
    calendar.delete(closure.id)


@pytest.mark.usefixtures("scored")
def test_beyond_the_limit_the_oldest_is_deleted_with_its_scores(
    replica: ForecasterReplica, forecasters: tuple[Path, Path], watcher: Watcher, served: str
) -> None:
    numbers = [served]
    for saved in (forecasters[1], forecasters[0]):
        numbers.append(replica.register(saved))
        replica.promote(numbers[-1])
        replica.wait_for(numbers[-1])
        replica.keep_forecast()
        replica.score()
        # There is room for two.
        assert watcher.week(SHOP, horizon=8).forecast_count == 2 * 7
        listed = watcher.outliers(level=SHOP, page_size=100).outliers
        assert {each.model_version for each in listed} == set(numbers[-2:])


def test_the_accuracy_is_for_staff(grpc_channel: grpc.Channel, issuer: Issuer) -> None:
    customer = Watcher(grpc_channel, issuer.metadata(Role.CUSTOMER, "bob"))
    for call in (customer.accuracy, customer.outliers):
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()


def metric(name: str, alarm: str, level: str) -> float:
    value = REGISTRY.get_sample_value(name, {"alarm": alarm, "level": level})
    assert value is not None
    return value
