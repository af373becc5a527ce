"""A file of user-product pairs, as other shops bring it: Parquet with `user, product` and, where there are, `time, quantity`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

USER, PRODUCT, TIME, QUANTITY = "user", "product", "time", "quantity"


class Unusable(Exception):
    """A file that cannot be read as pairs. The text names the file and, where it can, the column and the row, the first being row 1."""


@dataclass(frozen=True)
class Pairs:
    """One row per row of the file, in its order."""

    # As they are in the file: integers or text.
    user: pa.Array
    product: pa.Array
    # In days, from whatever start; None where the file does not tell.
    day: np.ndarray | None
    quantity: np.ndarray

    def __len__(self) -> int:
        return len(self.user)


def read(file: Path) -> Pairs:
    """The pairs in a file. Raises `Unusable`."""
    try:
        table = pq.read_table(file, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise Unusable(f"{file} cannot be read as Parquet: {error}") from error
    for column in (USER, PRODUCT):
        if column not in table.column_names:
            raise Unusable(f"{file} has no column `{column}`; it has {', '.join(table.column_names) or 'none'}.")
    for column in (USER, PRODUCT, TIME, QUANTITY):
        if table.column_names.count(column) > 1:
            raise Unusable(f"{file} has several columns `{column}`.")
    if not table.num_rows:
        raise Unusable(f"{file} has no rows.")
    times, quantities = (whole(file, table, column) if column in table.column_names else None for column in (TIME, QUANTITY))
    return Pairs(
        ids(file, whole(file, table, USER), USER),
        ids(file, whole(file, table, PRODUCT), PRODUCT),
        None if times is None else days(file, times),
        np.ones(table.num_rows, np.float32) if quantities is None else amounts(file, quantities),
    )


def whole(file: Path, table: pa.Table, column: str) -> pa.Array:
    """A column without holes."""
    values = table[column].combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.null_count:
        raise Unusable(f"{file}, column `{column}`, row {1 + pc.index(pc.is_null(values), True).as_py()}: there is no value.")
    return values


def ids(file: Path, values: pa.Array, column: str) -> pa.Array:
    """Ids: integers or text that is not empty."""
    if pa.types.is_integer(values.type):
        return values
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise Unusable(f"{file}, column `{column}`: ids are integers or text, and these are {values.type}.")
    if (empty := pc.index(pc.equal(values, ""), True).as_py()) >= 0:
        raise Unusable(f"{file}, column `{column}`, row {empty + 1}: the text is empty.")
    return values


def days(file: Path, values: pa.Array) -> np.ndarray:
    """Times in days: dates, timestamps, or numbers, which count seconds (or their thousandths and so on) from 1970 where they are large."""
    if pa.types.is_date(values.type):
        return np.asarray(values.cast(pa.date32()).cast(pa.int32()).to_numpy(), float)
    if pa.types.is_timestamp(values.type):
        microseconds = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
        return np.asarray(microseconds.to_numpy() / 86_400e6, float)
    numbers = finite(file, values, TIME)
    largest = np.abs(numbers).max()
    units = (per_day for least, per_day in ((1e17, 86_400e9), (1e14, 86_400e6), (1e11, 86_400e3), (1e8, 86_400.0)) if largest >= least)
    return numbers / next(units, 1.0)


def amounts(file: Path, values: pa.Array) -> np.ndarray:
    """Quantities: numbers above zero."""
    numbers = finite(file, values, QUANTITY)
    for row in np.flatnonzero(numbers <= 0)[:1]:
        raise Unusable(f"{file}, column `{QUANTITY}`, row {row + 1}: {numbers[row]:g} is not above zero.")
    return numbers.astype(np.float32)


def finite(file: Path, values: pa.Array, column: str) -> np.ndarray:
    """Numbers that are numbers."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        raise Unusable(f"{file}, column `{column}`: {values.type} is no type for it.")
    numbers: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy()
    for row in np.flatnonzero(~np.isfinite(numbers))[:1]:
        raise Unusable(f"{file}, column `{column}`, row {row + 1}: {numbers[row]} is not a number.")
    return numbers
