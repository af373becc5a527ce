"""Forecasts and what to reorder as files, made piece by piece."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from hashiramart.forecaster.v1 import forecaster_pb2
from ml.forecaster.forecasts import Point, Scope
from services.forecaster.suggestions import Suggestion

_CSV, _PARQUET = forecaster_pb2.EXPORT_FORMAT_CSV, forecaster_pb2.EXPORT_FORMAT_PARQUET
# A multiple of three bytes, whose Base64 needs no padding.
_PIECE_BYTES = 3 * 64 * 1024
# So many series at a time: enough rows for a group of Parquet's.
_BATCH_SERIES = 500
_SUGGESTIONS = pa.schema(
    {
        "product_id": pa.string(),
        "name": pa.string(),
        "quantity": pa.int32(),
        "order_date": pa.date32(),
        "cover_days": pa.int32(),
        "stockout_probability": pa.float64(),
        "stock": pa.int32(),
        "on_order_units": pa.int32(),
        "order_up_to_level": pa.int32(),
        "expected_demand": pa.float64(),
    }
)


async def export_forecasts(
    scopes: Sequence[Scope],
    forecast: Callable[[Scope], list[Point]],
    levels: Sequence[int],
    through: date,
    model_version: str,
    format: forecaster_pb2.ExportFormat.ValueType,
) -> AsyncIterator[forecaster_pb2.FilePiece]:
    """The forecasts of series as pieces of a file, one row per series and period.

    forecast: of a series, with bands of these levels
    through: the last day of the sales
    """
    bands = [(level, end, f"{('lower', 'upper')[end]}_{level}") for level in levels for end in (0, 1)]
    fields: list[tuple[str, pa.DataType]] = [("level", pa.string()), ("key", pa.string()), ("date", pa.date32()), ("day_count", pa.int32())]
    fields += [(name, pa.float64()) for name in ("mean", "median", *(name for _, _, name in bands))]
    schema = pa.schema([*fields, ("data_through_date", pa.date32()), ("model_version", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(scopes), _BATCH_SERIES):
            rows = [(scope, point) for scope in scopes[start : start + _BATCH_SERIES] for point in forecast(scope)]
            columns: list[Iterable[Any]] = [
                [scope.kind for scope, _ in rows],
                [scope.name for scope, _ in rows],
                *([getattr(point, name) for _, point in rows] for name in ("date", "day_count", "mean", "median")),
                *([point.bands[level][end] for _, point in rows] for level, end, _ in bands),
                [through] * len(rows),
                [model_version] * len(rows),
            ]
            yield pa.record_batch(columns, schema)

    async for piece in _pieces(batches(), schema, format):
        yield piece


async def export_suggestions(
    suggestions: Sequence[Suggestion], format: forecaster_pb2.ExportFormat.ValueType
) -> AsyncIterator[forecaster_pb2.FilePiece]:
    """Suggestions as pieces of a file, one row each."""
    rows = [(*each.product[:2], *each[1:5], each.product.stock, *each[5:]) for each in suggestions]
    batch = pa.record_batch([[row[place] for row in rows] for place in range(len(_SUGGESTIONS))], _SUGGESTIONS)
    async for piece in _pieces(iter([batch]), _SUGGESTIONS, format):
        yield piece


async def _pieces(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, format: forecaster_pb2.ExportFormat.ValueType
) -> AsyncIterator[forecaster_pb2.FilePiece]:
    """A file of rows, which are made in a thread while the file is read."""
    contents = _contents(batches, schema, format or _CSV)
    while content := await asyncio.to_thread(next, contents, b""):
        yield forecaster_pb2.FilePiece(content=content)


def _contents(batches: Iterator[pa.RecordBatch], schema: pa.Schema, format: forecaster_pb2.ExportFormat.ValueType) -> Iterator[bytes]:
    file, waiting = io.BytesIO(), b""
    with pq.ParquetWriter(file, schema, compression="zstd") if format == _PARQUET else pyarrow.csv.CSVWriter(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            waiting += _drain(file)
            while len(waiting) > _PIECE_BYTES:
                yield waiting[:_PIECE_BYTES]
                waiting = waiting[_PIECE_BYTES:]
    waiting += _drain(file)
    yield from (waiting[start : start + _PIECE_BYTES] for start in range(0, len(waiting), _PIECE_BYTES))


def _drain(file: io.BytesIO) -> bytes:
    """What was written since the last time. Arrow's writers count their position by themselves."""
    written = file.getvalue()
    file.seek(0)
    file.truncate()
    return written
