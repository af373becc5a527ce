"""A panel in a file: one row per series and time, as any shop can write it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.forecaster.panel import Flags, Frequency, Numbers, Panel

SERIES, TIME, VALUE = "series", "time", "value"
STEPS = {Frequency.DAY: np.timedelta64(1, "D"), Frequency.WEEK: np.timedelta64(7, "D"), Frequency.HOUR: np.timedelta64(1, "h")}
# Beyond it a time is taken for a slip of the pen: no panel would fit the memory.
LONGEST = 100_000


class Refused(ValueError):
    """A file that no panel can be read from: a sentence that names the file and, where it can, column and row, from row 1."""


@dataclass(frozen=True)
class Layout:
    """What the columns of the file are beside `series`, `time` and `value`.

    shut: a column and the value of it that says that the series rests, or none
    """

    frequency: Frequency
    season: int
    known: Sequence[str] = ()
    static: Sequence[str] = ()
    shut: tuple[str, str] | None = None


def read_panel(path: Path, layout: Layout) -> Panel:
    """The panel in a Parquet file, all of it seen. A missing row is unknown, not zero. Raises Refused."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise Refused(f"{path} is no Parquet file that can be read: {str(error).splitlines()[0]}") from None
    named = [SERIES, TIME, VALUE, *layout.known, *layout.static, *([layout.shut[0]] if layout.shut else [])]
    for name in named:
        if name not in table.column_names:
            raise Refused(f"{path} has no column {name}; it has {', '.join(table.column_names)}.")
    if not table.num_rows:
        raise Refused(f"{path} has no row.")
    names, series = coded(path, table, SERIES)
    step, times = steps(path, table, layout.frequency)
    refuse_twins(path, series, step, len(times))
    place = (series, step)
    shape = (len(names), len(times))

    def laid(values: Numbers) -> Numbers:
        spread = np.full(shape, np.nan)
        spread[place] = values
        return spread

    values = numbers(path, table, VALUE)
    refuse_where(path, VALUE, np.isinf(values), "is not finite")
    return Panel(
        names=names,
        times=times,
        values=laid(values),
        shut=shutting(path, table, layout.shut, place, shape),
        known={name: laid(numbers(path, table, name)) for name in layout.known},
        static={name: attribute(path, table, name, series, len(names)) for name in layout.static},
        frequency=layout.frequency,
        season=layout.season,
    )


def coded(path: Path, table: pa.Table, name: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The distinct values of a column as text, in order, and the place of each row's among them."""
    column = table[name].combine_chunks()
    refuse_where(path, name, column.is_null().to_numpy(zero_copy_only=False), "is missing")
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return tuple(str(value) for value in encoded.dictionary.take(pa.array(order)).to_pylist()), rank[encoded.indices.to_numpy()]


def steps(path: Path, table: pa.Table, frequency: Frequency) -> tuple[NDArray[np.int64], np.ndarray]:
    """The step of each row from 0, and the calendar: of the type that the file has, whole numbers or times."""
    column = table[TIME].combine_chunks()
    refuse_where(path, TIME, column.is_null().to_numpy(zero_copy_only=False), "is missing")
    if pa.types.is_integer(column.type):
        counted = column.to_numpy(zero_copy_only=False).astype(np.int64)
        span = int(counted.max() - counted.min()) + 1
        refuse_where(path, TIME, counted - counted.min() >= LONGEST, "is too far from the first")
        return counted - counted.min(), np.arange(counted.min(), counted.min() + span)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        try:
            column = column.cast(pa.timestamp("s"))
        except pa.ArrowInvalid as error:
            raise Refused(f"{path}, column {TIME}: {error}.") from None
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise Refused(f"{path}, column {TIME} is {column.type}: it must be dates, timestamps or whole numbers.")
    moments = column.to_numpy(zero_copy_only=False).astype("datetime64[s]")
    length = STEPS[frequency]
    first = moments.min()
    step = (moments - first) // length
    refuse_where(path, TIME, first + step * length != moments, f"is no whole number of {frequency}s after {first}")
    refuse_where(path, TIME, step >= LONGEST, "is too far from the first")
    return step.astype(np.int64), first + np.arange(int(step.max()) + 1) * length


def numbers(path: Path, table: pa.Table, name: str) -> Numbers:
    """A column as numbers, NaN where missing; text that is no number as codes, where it tells kinds apart."""
    column = table[name].combine_chunks()
    if pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        told: Numbers = column.to_numpy(zero_copy_only=False).astype(np.float64)
        return told
    if name == VALUE:
        raise Refused(f"{path}, column {VALUE} is {column.type}: it must be numbers.")
    return coded(path, table, name)[1].astype(np.float64)


def attribute(path: Path, table: pa.Table, name: str, series: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The code of each series in a static column, shape (n,)."""
    _, codes = coded(path, table, name)
    own = np.zeros(count, dtype=np.int64)
    own[series] = codes
    refuse_where(path, name, own[series] != codes, "differs from another row of its series")
    return own


def shutting(
    path: Path, table: pa.Table, shut: tuple[str, str] | None, place: tuple[NDArray[np.int64], NDArray[np.int64]], shape: tuple[int, int]
) -> Flags:
    """Whether each series rests at each step, shape (n, T)."""
    laid = np.zeros(shape, dtype=bool)
    if shut is None:
        return laid
    name, value = shut
    column = table[name].combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        laid[place] = np.array([text == value for text in column.to_pylist()])
        return laid
    try:
        laid[place] = numbers(path, table, name) == float(value)
    except ValueError:
        raise Refused(f"{path}, column {name} holds numbers, and {value} is none.") from None
    return laid


def refuse_twins(path: Path, series: NDArray[np.int64], step: NDArray[np.int64], length: int) -> None:
    """Refuses a second row of the same series and time."""
    place = series * length + step
    _, first = np.unique(place, return_index=True)
    twin = np.ones(len(place), dtype=bool)
    twin[first] = False
    refuse_where(path, TIME, twin, "was given before for its series")


def refuse_where(path: Path, name: str, wrong: Flags, what: str) -> None:
    """Refuses the file for the first row that is wrong in a column."""
    if wrong.any():
        raise Refused(f"{path}, column {name}, row {int(wrong.argmax()) + 1} {what}.")
