"""Reads a panel from a Parquet file with one row per series and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.panel import Frequency, Panel
from ml.forecaster.panel_errors import InvalidPanel, check_rows
from ml.forecaster.panel_times import read_calendar

SERIES, TIME, VALUE = "series", "time", "value"
# A covariate of this name that is 0 says that the shelf was empty: what was sold is a lower bound of the demand.
IN_STOCK = "in_stock"


@dataclass(frozen=True)
class Layout:
    """The columns of the file besides `series`, `time` and `value`."""

    frequency: Frequency | None
    """None to find it from the times."""
    season: int
    covariates: Sequence[str] = ()
    static: Sequence[str] = ()
    closed: tuple[str, str] | None = None
    """A column, and its value that marks a closed step."""

    @property
    def columns(self) -> list[str]:
        """All columns that the file must have."""
        return [SERIES, TIME, VALUE, *self.covariates, *self.static, *([self.closed[0]] if self.closed else [])]


@dataclass(frozen=True)
class _Cells:
    """The cell of each row in arrays of shape (n, T)."""

    series: Integers
    step: Integers
    shape: tuple[int, int]


def read_panel(path: Path, layout: Layout) -> Panel:
    """Reads a panel, all of it history. A missing row is unknown, not zero. Raises `InvalidPanel`."""
    table = _read_table(path, layout)
    names, series = _encode(path, table, SERIES)
    check_rows(path, TIME, table[TIME].is_null().to_numpy(), "is missing")
    calendar = read_calendar(path, TIME, table[TIME].combine_chunks(), layout.frequency)
    cells = _Cells(series, calendar.step, (len(names), len(calendar.times)))
    _check_unique(path, cells)
    values = _to_numbers(path, table, VALUE)
    check_rows(path, VALUE, np.isinf(values), "is not finite")
    check_rows(path, VALUE, values < 0, "is negative, which no demand is")
    covariates = {name: _fill(_to_numbers(path, table, name), cells) for name in layout.covariates}
    filled = _fill(values, cells)
    return Panel(
        names=names,
        times=calendar.times,
        values=_demand(filled, covariates.pop(IN_STOCK)) if IN_STOCK in covariates else filled,
        closed=_read_closures(path, table, layout.closed, cells),
        covariates=covariates,
        static={name: _read_attribute(path, table, name, series, len(names)) for name in layout.static},
        frequency=calendar.frequency,
        season=layout.season,
    )


def _read_table(path: Path, layout: Layout) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidPanel(f"{path} is no Parquet file that can be read: {str(error).splitlines()[0]}") from None
    for name in layout.columns:
        if name not in table.column_names:
            raise InvalidPanel(f"{path} has no column {name}; it has {', '.join(table.column_names)}.")
    if not table.num_rows:
        raise InvalidPanel(f"{path} has no row.")
    return pa.table({name: _to_plain(table[name]) for name in dict.fromkeys(layout.columns)})


def _to_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without dictionaries, and text as `string`, however the file holds it."""
    if pa.types.is_run_end_encoded(column.type):
        column = pc.run_end_decode(column)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type)
    return column.cast(pa.string()) if is_text else column


def _fill(values: Floats, cells: _Cells) -> Floats:
    """The values of the rows in their cells, NaN in the others, shape (n, T)."""
    filled = np.full(cells.shape, np.nan)
    filled[cells.series, cells.step] = values
    return filled


def _demand(sold: Floats, in_stock: Floats) -> Floats:
    """What was sold, unknown where the shelf was empty, unless that lower bound is above the average of the steps in stock before.

    sold, in_stock: shape (n, T)
    """
    full = (in_stock != 0) & ~np.isnan(sold)
    total, count = (np.cumsum(np.where(full, each, 0.0), axis=1) for each in (sold, np.ones_like(sold)))
    usual = total / np.maximum(count, 1)
    return np.where(full | ((sold > usual) & (count > 0)), sold, np.nan)


def _encode(path: Path, table: pa.Table, name: str) -> tuple[tuple[str, ...], Integers]:
    """The distinct values of a column as text, in order, and the index of each row's value among them."""
    column = table[name].combine_chunks()
    check_rows(path, name, column.is_null().to_numpy(zero_copy_only=False), "is missing")
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return tuple(str(value) for value in encoded.dictionary.take(pa.array(order)).to_pylist()), rank[encoded.indices.to_numpy()]


def _to_numbers(path: Path, table: pa.Table, name: str) -> Floats:
    """A column as numbers, NaN where missing; text, except in `value`, as codes of its distinct values."""
    column = table[name].combine_chunks()
    if pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
        return numbers
    if name == VALUE:
        raise InvalidPanel(f"{path}, column {VALUE} is {column.type}: it must be numbers.")
    return _encode(path, table, name)[1].astype(np.float64)


def _read_attribute(path: Path, table: pa.Table, name: str, series: Integers, count: int) -> Integers:
    """The code of each series in a static column, shape (n,)."""
    _, codes = _encode(path, table, name)
    of_series = np.zeros(count, dtype=np.int64)
    of_series[series] = codes
    check_rows(path, name, of_series[series] != codes, "differs from another row of its series")
    return of_series


def _read_closures(path: Path, table: pa.Table, closed: tuple[str, str] | None, cells: _Cells) -> Booleans:
    """Whether each series is closed at each step, shape (n, T). closed: as in `Layout`"""
    closures = np.zeros(cells.shape, dtype=bool)
    if closed is None:
        return closures
    name, value = closed
    column = table[name].combine_chunks()
    if pa.types.is_string(column.type):
        closures[cells.series, cells.step] = np.array([text == value for text in column.to_pylist()])
        return closures
    try:
        closures[cells.series, cells.step] = _to_numbers(path, table, name) == float(value)
    except ValueError:
        raise InvalidPanel(f"{path}, column {name} holds numbers, and {value} is none.") from None
    return closures


def _check_unique(path: Path, cells: _Cells) -> None:
    """Raises `InvalidPanel` for a second row of the same series and time."""
    cell = cells.series * cells.shape[1] + cells.step
    _, first = np.unique(cell, return_index=True)
    duplicate = np.ones(len(cell), dtype=bool)
    duplicate[first] = False
    check_rows(path, TIME, duplicate, "was given before for its series")
