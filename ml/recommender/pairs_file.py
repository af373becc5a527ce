"""Parquet files of user-product pairs: columns `user, product` and, optionally, `time, quantity`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

USER, PRODUCT, TIME, QUANTITY = "user", "product", "time", "quantity"


# The whole numbers that may be dates, as YYYYMMDD, and the days that a history may have.
FIRST_DATE, LAST_DATE, MAX_DAYS = 1900_01_01, 2199_12_31, 20_000


class InvalidPairs(Exception):
    """A file cannot be read as pairs. The message names the file and, where there is one, the column and the row, counted from 1."""


@dataclass(frozen=True)
class Pairs:
    """The rows of a file, in its order."""

    user: pa.Array
    """User ids: integers or text."""
    product: pa.Array
    """Product ids: integers or text."""
    day: np.ndarray | None
    """Times in days since an arbitrary origin, shape (rows,); None without a column `time`."""
    quantity: np.ndarray
    """Shape (rows,); 1 without a column `quantity`."""

    def __len__(self) -> int:
        return len(self.user)


def read(file: Path) -> Pairs:
    """Reads and validates a file. Raises `InvalidPairs`."""
    try:
        table = pq.read_table(file, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidPairs(f"{file} cannot be read as Parquet: {error}") from error
    for column in (USER, PRODUCT):
        if column not in table.column_names:
            raise InvalidPairs(f"{file} has no column `{column}`; it has {', '.join(table.column_names) or 'none'}.")
    for column in (USER, PRODUCT, TIME, QUANTITY):
        if table.column_names.count(column) > 1:
            raise InvalidPairs(f"{file} has several columns `{column}`.")
    if not table.num_rows:
        raise InvalidPairs(f"{file} has no rows.")
    times, quantities = (_column(file, table, column) if column in table.column_names else None for column in (TIME, QUANTITY))
    return Pairs(
        _ids(file, _column(file, table, USER), USER),
        _ids(file, _column(file, table, PRODUCT), PRODUCT),
        None if times is None else _days(file, times),
        np.ones(table.num_rows, np.float32) if quantities is None else _quantities(file, quantities),
    )


def _column(file: Path, table: pa.Table, column: str) -> pa.Array:
    """A column without nulls."""
    values = table[column].combine_chunks()
    if pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    # Ids that are the same compare as the same, however wide a file holds them.
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if values.null_count:
        raise InvalidPairs(f"{file}, column `{column}`, row {1 + pc.index(pc.is_null(values), True).as_py()}: there is no value.")
    return values


def _ids(file: Path, values: pa.Array, column: str) -> pa.Array:
    """Ids: integers, or text that is not empty."""
    if pa.types.is_integer(values.type):
        return values if values.type == pa.uint64() and pc.max(values).as_py() >= 1 << 63 else values.cast(pa.int64())
    if not pa.types.is_string(values.type):
        raise InvalidPairs(f"{file}, column `{column}`: ids are integers or text, and these are {values.type}.")
    if (empty := pc.index(pc.equal(values, ""), True).as_py()) >= 0:
        raise InvalidPairs(f"{file}, column `{column}`, row {empty + 1}: the text is empty.")
    return values


def _days(file: Path, values: pa.Array) -> np.ndarray:
    """Converts dates, timestamps and numbers to days.

    Numbers are days, dates as YYYYMMDD, or seconds (or milli-, micro-, nanoseconds) since 1970. The unit of others cannot be known.
    """
    if pa.types.is_date(values.type):
        return np.asarray(values.cast(pa.date32()).cast(pa.int32()).to_numpy(), float)
    if pa.types.is_timestamp(values.type):
        microseconds = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
        return np.asarray(microseconds.to_numpy() / 86_400e6, float)
    numbers = _finite(file, values, TIME)
    if pa.types.is_integer(values.type) and numbers.min() >= FIRST_DATE and numbers.max() <= LAST_DATE:
        return _dates(file, numbers)
    largest = np.abs(numbers).max()
    if largest < 1e8 and np.ptp(numbers) > MAX_DAYS:
        raise InvalidPairs(
            f"{file}, column `{TIME}`: numbers from {numbers.min():.0f} to {numbers.max():.0f} are no days, nor seconds since 1970, "
            "and their unit is not known; dates or timestamps would be."
        )
    units = (per_day for least, per_day in ((1e17, 86_400e9), (1e14, 86_400e6), (1e11, 86_400e3), (1e8, 86_400.0)) if largest >= least)
    return numbers / next(units, 1.0)


def _dates(file: Path, numbers: np.ndarray) -> np.ndarray:
    """Days of dates as YYYYMMDD."""
    year, month, day = numbers // 10_000, numbers // 100 % 100, numbers % 100
    months = ((year - 1970) * 12 + month - 1).astype(np.int64).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1).astype(np.int64)
    for row in np.flatnonzero((month < 1) | (month > 12) | (day < 1) | (days.astype("datetime64[M]") != months))[:1]:
        raise InvalidPairs(f"{file}, column `{TIME}`, row {row + 1}: {numbers[row]:.0f} is no date.")
    found: np.ndarray = days.astype(np.int64).astype(float)
    return found


def _quantities(file: Path, values: pa.Array) -> np.ndarray:
    """Quantities: numbers above zero."""
    numbers = _finite(file, values, QUANTITY)
    for row in np.flatnonzero(numbers <= 0)[:1]:
        raise InvalidPairs(f"{file}, column `{QUANTITY}`, row {row + 1}: {numbers[row]:g} is not above zero.")
    return numbers.astype(np.float32)


def _finite(file: Path, values: pa.Array, column: str) -> np.ndarray:
    """Converts numbers to floating point; none may be NaN or infinite."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        raise InvalidPairs(f"{file}, column `{column}`: {values.type} is no type for it.")
    numbers: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy()
    for row in np.flatnonzero(~np.isfinite(numbers))[:1]:
        raise InvalidPairs(f"{file}, column `{column}`, row {row + 1}: {numbers[row]} is not a number.")
    return numbers
