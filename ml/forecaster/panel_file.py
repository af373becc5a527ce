"""Reads a panel from a Parquet file with one row per series and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.panel import Frequency, Panel

SERIES, TIME, VALUE = "series", "time", "value"
STEPS = {Frequency.DAY: np.timedelta64(1, "D"), Frequency.WEEK: np.timedelta64(7, "D"), Frequency.HOUR: np.timedelta64(1, "h")}
# A time further from the first is taken for an error: no such panel would fit into memory.
MAX_STEPS = 100_000


class InvalidPanel(ValueError):
    """A file that no panel can be read from. The text is a sentence with the file and, where possible, column and row, from 1."""


@dataclass(frozen=True)
class Layout:
    """The columns of the file besides `series`, `time` and `value`."""

    frequency: Frequency
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
    step, times = _parse_times(path, table, layout.frequency)
    cells = _Cells(series, step, (len(names), len(times)))
    _check_unique(path, cells)
    values = _to_numbers(path, table, VALUE)
    _check_rows(path, VALUE, np.isinf(values), "is not finite")
    return Panel(
        names=names,
        times=times,
        values=_fill(values, cells),
        closed=_read_closures(path, table, layout.closed, cells),
        covariates={name: _fill(_to_numbers(path, table, name), cells) for name in layout.covariates},
        static={name: _read_attribute(path, table, name, series, len(names)) for name in layout.static},
        frequency=layout.frequency,
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
    return table


def _fill(values: Floats, cells: _Cells) -> Floats:
    """The values of the rows in their cells, NaN in the others, shape (n, T)."""
    filled = np.full(cells.shape, np.nan)
    filled[cells.series, cells.step] = values
    return filled


def _encode(path: Path, table: pa.Table, name: str) -> tuple[tuple[str, ...], Integers]:
    """The distinct values of a column as text, in order, and the index of each row's value among them."""
    column = table[name].combine_chunks()
    _check_rows(path, name, column.is_null().to_numpy(zero_copy_only=False), "is missing")
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return tuple(str(value) for value in encoded.dictionary.take(pa.array(order)).to_pylist()), rank[encoded.indices.to_numpy()]


def _parse_times(path: Path, table: pa.Table, frequency: Frequency) -> tuple[Integers, np.ndarray]:
    """The step of each row, from 0, and the calendar: whole numbers or times, as in the file."""
    column = table[TIME].combine_chunks()
    _check_rows(path, TIME, column.is_null().to_numpy(zero_copy_only=False), "is missing")
    if pa.types.is_integer(column.type):
        numbers = column.to_numpy(zero_copy_only=False).astype(np.int64)
        step = numbers - numbers.min()
        _check_rows(path, TIME, step >= MAX_STEPS, "is too far from the first")
        return step, numbers.min() + np.arange(int(step.max()) + 1)
    times = _to_timestamps(path, column)
    length = STEPS[frequency]
    first = times.min()
    step = (times - first) // length
    _check_rows(path, TIME, first + step * length != times, f"is no whole number of {frequency}s after {first}")
    _check_rows(path, TIME, step >= MAX_STEPS, "is too far from the first")
    return step.astype(np.int64), first + np.arange(int(step.max()) + 1) * length


def _to_timestamps(path: Path, column: pa.Array) -> NDArray[np.datetime64]:
    """A column of text, dates or timestamps, as datetime64[s]."""
    if _is_text(column):
        try:
            column = column.cast(pa.timestamp("s"))
        except pa.ArrowInvalid as error:
            raise InvalidPanel(f"{path}, column {TIME}: {error}.") from None
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise InvalidPanel(f"{path}, column {TIME} is {column.type}: it must be dates, timestamps or whole numbers.")
    times: NDArray[np.datetime64] = column.to_numpy(zero_copy_only=False).astype("datetime64[s]")
    return times


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
    _check_rows(path, name, of_series[series] != codes, "differs from another row of its series")
    return of_series


def _read_closures(path: Path, table: pa.Table, closed: tuple[str, str] | None, cells: _Cells) -> Booleans:
    """Whether each series is closed at each step, shape (n, T). closed: as in `Layout`"""
    closures = np.zeros(cells.shape, dtype=bool)
    if closed is None:
        return closures
    name, value = closed
    column = table[name].combine_chunks()
    if _is_text(column):
        closures[cells.series, cells.step] = np.array([text == value for text in column.to_pylist()])
        return closures
    try:
        closures[cells.series, cells.step] = _to_numbers(path, table, name) == float(value)
    except ValueError:
        raise InvalidPanel(f"{path}, column {name} holds numbers, and {value} is none.") from None
    return closures


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _check_unique(path: Path, cells: _Cells) -> None:
    """Raises `InvalidPanel` for a second row of the same series and time."""
    cell = cells.series * cells.shape[1] + cells.step
    _, first = np.unique(cell, return_index=True)
    duplicate = np.ones(len(cell), dtype=bool)
    duplicate[first] = False
    _check_rows(path, TIME, duplicate, "was given before for its series")


def _check_rows(path: Path, name: str, invalid: Booleans, problem: str) -> None:
    """Raises `InvalidPanel` for the first invalid row of a column."""
    if invalid.any():
        raise InvalidPanel(f"{path}, column {name}, row {int(invalid.argmax()) + 1} {problem}.")
