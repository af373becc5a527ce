"""Many forecasts in one call."""

import asyncio
from datetime import timedelta
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from pyarrow import csv

from hashiramart.forecaster.v1 import forecaster_pb2
from lake.reading import read_parquet
from ml.forecaster.forecasts import Point, Scope
from services.forecaster.exports import export_forecasts
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


@pytest.mark.parametrize("format", [forecaster_pb2.EXPORT_FORMAT_CSV, forecaster_pb2.EXPORT_FORMAT_PARQUET])
def test_a_file_has_a_row_for_each_point_of_a_batch(staff: Planner, format: forecaster_pb2.ExportFormat.ValueType) -> None:
    fields = {"horizon_days": 28, "levels": [80], "category": "Dishes", "granularity": forecaster_pb2.GRANULARITY_WEEK}
    content = staff.export(**fields, format=format)
    table = csv.read_csv(pa.BufferReader(content)) if format == forecaster_pb2.EXPORT_FORMAT_CSV else read_parquet(content)
    rows = [
        ("product", each.key, point.date, point.day_count, point.mean, point.median, point.bands[0].lower, point.bands[0].upper)
        for each in staff.batch(**fields)
        for point in each.points
    ]
    assert table.column_names[6:] == ["lower_80", "upper_80", "data_through_date", "model_version"]
    assert [(*row[:2], row[2].isoformat(), *row[3:8]) for row in zip(*table.to_pydict().values(), strict=True)] == rows


def test_pieces_of_a_file_are_of_whole_triples_of_bytes() -> None:
    points = [Point(OPENING, 1, 0.1, 0.2, {80: (0.3, 0.4)})] * 100
    scopes = [Scope("product", f"{number}") for number in range(1200)]

    async def export() -> list[bytes]:
        pieces = export_forecasts(scopes, lambda _: points, (80,), OPENING, "2", forecaster_pb2.EXPORT_FORMAT_UNSPECIFIED)
        return [piece.content async for piece in pieces]

    contents = asyncio.run(export())
    assert len(contents) > 2
    assert {len(content) % 3 for content in contents[:-1]} == {0}
    assert csv.read_csv(pa.BufferReader(b"".join(contents))).num_rows == 120_000


def test_what_there_is_not_is_an_error(staff: Planner) -> None:
    with fails_with(grpc.StatusCode.NOT_FOUND, "SERIES_NOT_FOUND"):
        staff.batch(category="Furniture")
    with fails_with(grpc.StatusCode.NOT_FOUND, "SERIES_NOT_FOUND"):
        staff.export(category="Furniture")
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.batch(category="Drinks", level=forecaster_pb2.SERIES_LEVEL_COUNTRY)
    assert set(violations) == {"category"}


def test_batches_are_for_staff(customer: Planner) -> None:
    with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        customer.batch()
    with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        customer.export()
