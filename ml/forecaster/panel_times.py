"""The time column of a panel file: its calendar, the step of each row, and the frequency where none is given."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.forecaster.arrays import Integers
from ml.forecaster.panel import Frequency
from ml.forecaster.panel_errors import InvalidPanel, check_rows

STEPS = {Frequency.HOUR: np.timedelta64(1, "h"), Frequency.DAY: np.timedelta64(1, "D"), Frequency.WEEK: np.timedelta64(7, "D")}
MONTHS = {Frequency.MONTH: 1, Frequency.QUARTER: 3}
# A time further from the first is taken for an error: no such panel would fit into memory.
MAX_STEPS = 100_000
# So are the few rows that lie further from all others than these span, and at least so many steps.
STRAY_STEPS, STRAY_SHARE = 60, 0.05
# The whole numbers that may be dates, as YYYYMMDD.
FIRST_DATE, LAST_DATE = 1900_01_01, 2199_12_31
_DATE_DIGITS = r"^\d{8}$"

Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Calendar:
    """The times of a panel."""

    times: np.ndarray
    """Of all T steps, datetime64[s] or whole numbers, shape (T,)."""
    step: Integers
    """The step of each row, from 0, shape (rows,)."""
    frequency: Frequency


def read_calendar(path: Path, name: str, column: pa.Array, frequency: Frequency | None) -> Calendar:
    """Reads a time column without nulls: text, dates, timestamps or whole numbers. Raises `InvalidPanel`.

    frequency: None to find it from the times; steps that are only numbered are taken for days
    """
    column = _parse_digits(column)
    if pa.types.is_integer(column.type):
        numbers = column.to_numpy(zero_copy_only=False).astype(np.int64)
        step = _check_span(path, name, numbers, numbers - numbers.min())
        return Calendar(numbers.min() + np.arange(int(step.max()) + 1), step, frequency or Frequency.DAY)
    column = _parse_text(path, name, column)
    # A day begins at midnight of its zone, and may have 23 or 25 hours.
    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    times = _to_numpy(pc.local_timestamp(column) if zoned else column)
    frequency = frequency or find_frequency(path, name, times)
    if frequency in MONTHS:
        return _monthly_calendar(path, name, times, frequency)
    return _even_calendar(path, name, _to_numpy(column) if frequency is Frequency.HOUR else times, frequency)


def find_frequency(path: Path, name: str, times: Times) -> Frequency:
    """The frequency that the times fit: most neighbours are one step apart. Raises `InvalidPanel` if none does."""
    distinct = np.unique(times)
    if len(distinct) < 3:
        return Frequency.DAY
    seconds = np.diff(distinct).astype(np.int64)
    usual = int(np.sort(seconds)[(len(seconds) - 1) // 2])
    if usual == STEPS[Frequency.HOUR].astype("timedelta64[s]").astype(int):
        return Frequency.HOUR
    days = usual / 86400
    months = distinct.astype("datetime64[M]").astype(np.int64)
    gaps = np.diff(months)
    if days >= 28 and gaps.min() > 0 and (seconds != usual).any():
        for frequency, length in MONTHS.items():
            if np.median(gaps) == length and not (gaps % length).any():
                return frequency
    if days == 7:
        return Frequency.WEEK
    # Some shops are open, and some panels known, on a few days of the week only.
    if 1 <= days <= 3:
        return Frequency.DAY
    raise InvalidPanel(
        f"{path}, column {name}: most times are {usual / 3600:g} hours apart, which is none of {', '.join(Frequency)}; "
        "--frequency can set the step."
    )


def _even_calendar(path: Path, name: str, times: Times, frequency: Frequency) -> Calendar:
    """The calendar of steps that are equally long."""
    length = STEPS[frequency].astype("timedelta64[s]")
    # Rows are compared with the grid that most of them are on.
    offsets, counts = np.unique(times.astype(np.int64) % length.astype(np.int64), return_counts=True)
    on_grid = times.astype(np.int64) % length.astype(np.int64) == offsets[counts.argmax()]
    first = times[on_grid].min()
    check_rows(path, name, ~on_grid, f"is no whole number of {frequency}s after {first}")
    step = _check_span(path, name, times, ((times - first) // length).astype(np.int64))
    return Calendar(first + np.arange(int(step.max()) + 1) * length, step, frequency)


def _monthly_calendar(path: Path, name: str, times: Times, frequency: Frequency) -> Calendar:
    """The calendar of months or quarters, each at the day of the month by which the file labels them."""
    length = MONTHS[frequency]
    months = times.astype("datetime64[M]")
    step = months.astype(np.int64) - int(months.astype(np.int64).min())
    check_rows(path, name, step % length > 0, f"is no whole number of {frequency}s after {months.min()}")
    step = _check_span(path, name, times, step // length)
    calendar = months.min() + np.arange(int(step.max()) + 1) * length
    first_day, last_day = calendar.astype("datetime64[D]"), (calendar + 1).astype("datetime64[D]") - 1
    days = times.astype("datetime64[D]")
    at_end = bool((days + 1 == (months + 1).astype("datetime64[D]")).all())
    usual = np.bincount((days - months.astype("datetime64[D]")).astype(np.int64)).argmax()
    labels = (last_day if at_end else np.minimum(first_day + usual, last_day)).astype("datetime64[s]")
    labels[step] = times
    return Calendar(labels, step, frequency)


def _check_span(path: Path, name: str, times: np.ndarray, step: Integers) -> Integers:
    """The steps, unless a few of them are far from all others. times: of each row, for the message"""
    distinct, rows = np.unique(step, return_counts=True)
    gaps = np.diff(distinct)
    if len(gaps):
        widest = int(gaps.argmax())
        rest = int(distinct[-1] - distinct[0] - gaps[widest])
        before, after = step <= distinct[widest], step > distinct[widest]
        few = before if before.sum() < after.sum() else after
        if gaps[widest] > max(rest, STRAY_STEPS) and few.sum() <= max(1, STRAY_SHARE * rows.sum()):
            check_rows(path, name, few, f"is {times[few.argmax()]}, far from all other times")
    check_rows(path, name, step >= MAX_STEPS, "is too far from the first")
    return step


def _parse_digits(column: pa.Array) -> pa.Array:
    """A column of YYYYMMDD, as text or whole numbers, as dates; any other as it is."""
    if pa.types.is_integer(column.type):
        bounds = pc.min_max(column).as_py()
        if bounds["min"] < FIRST_DATE or bounds["max"] > LAST_DATE:
            return column
        text = column.cast(pa.string())
    elif pa.types.is_string(column.type) and pc.all(pc.match_substring_regex(column, _DATE_DIGITS)).as_py():
        text = column
    else:
        return column
    parts = (pc.utf8_slice_codeunits(text, start, stop) for start, stop in ((0, 4), (4, 6), (6, 8)))
    try:
        return pc.binary_join_element_wise(*parts, "-").cast(pa.date32())
    except pa.ArrowInvalid:
        return column


def _parse_text(path: Path, name: str, column: pa.Array) -> pa.Array:
    """A column of text, dates or timestamps, as dates or timestamps."""
    if pa.types.is_string(column.type):
        try:
            return column.cast(pa.timestamp("s"))
        except pa.ArrowInvalid as error:
            raise InvalidPanel(f"{path}, column {name}: {error}.") from None
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise InvalidPanel(f"{path}, column {name} is {column.type}: it must be dates, timestamps or whole numbers.")
    return column


def _to_numpy(column: pa.Array) -> Times:
    times: Times = column.to_numpy(zero_copy_only=False).astype("datetime64[s]")
    return times
