"""Fields of any notation in that of the raw zone: ISO dates, decimal points, text on one line."""

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from lake.landing.mapping import DateOrder

# Excel counts days from here; it takes 1900 for a leap year.
SERIAL_START = datetime(1899, 12, 30)  # noqa: DTZ001
SERIAL = re.compile(r"\d{5}(\.\d+)?")
# Parts of a date in any order, and the time of day. Years of two digits are of this century.
PARTED = re.compile(
    r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?:(?:[T ]|, ?)(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)? ?([AaPp]\.?[Mm]\.?)?"
    r" ?(Z|[+-]\d\d(?::?\d\d)?)?"
)
# What Spark reads by itself.
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?")
PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# Signs of currencies, and what divides thousands besides points and commas.
DECORATION = re.compile(r"[€$£¥\s\u00a0\u202f']")
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),(\d{1,2}|\d{4,})|[+-]?\d{1,3}(\.\d{3})+,\d+")
GROUPED = {
    ",": re.compile(r"[+-]?\d{1,3}(\.\d{3})*(,\d*)?|[+-]?\d+(,\d*)?"),
    ".": re.compile(r"[+-]?\d{1,3}(,\d{3})*(\.\d*)?|[+-]?\d+(\.\d*)?"),
}
LINE_ENDS = re.compile(r"[\r\n]+")
MONTHS_OF_YEAR = 12


@dataclass(frozen=True)
class Notation:
    """How a table writes dates and numbers."""

    dates: DateOrder
    decimal: str
    is_certain: bool
    """False if every date of the sample can be read with the day or with the month first."""
    is_plain: bool
    """Whether Spark reads the sample as it is."""


def find_notation(
    times: Sequence[str], numbers: Sequence[str], dates: DateOrder | None, decimal: str | None, prefers_comma: bool
) -> Notation:
    """The notation of a sample.

    times, numbers: the texts of the columns with the time, and with quantity and price
    dates, decimal: what the mapping says, if it does
    prefers_comma: whether a number such as 1,234 has a decimal comma, where no other number tells
    """
    order, is_certain = (dates, True) if dates else _date_order(times)
    sign = decimal or _decimal_sign(numbers, prefers_comma)
    is_plain = all(ISO.fullmatch(text) or not is_date(text, order) for text in times) and sign == "."
    is_plain = is_plain and all(PLAIN_NUMBER.fullmatch(text) or convert_number(text, sign) == text for text in numbers)
    return Notation(order, sign, is_certain, is_plain)


def _date_order(times: Iterable[str]) -> tuple[DateOrder, bool]:
    """The order in which most dates are written, and whether anything shows it."""
    parted = [match for text in times if (match := PARTED.fullmatch(text))]
    serial_count = sum(SERIAL.fullmatch(text) is not None for text in times)
    if serial_count > len(parted):
        return "serial", True
    short = [(int(match[1]), int(match[3])) for match in parted if len(match[1]) < 3]
    if len(short) * 2 < len(parted) or not short:
        return "year first", True
    day_first = sum(first > MONTHS_OF_YEAR for first, _ in short)
    month_first = sum(second > MONTHS_OF_YEAR for _, second in short)
    if day_first or month_first:
        return ("day first", True) if day_first >= month_first else ("month first", True)
    # Exports are sorted by time: the right order jumps less.
    jumps = [_count_jumps(parted, order) for order in ("day first", "month first")]
    return ("month first" if jumps[1] < jumps[0] else "day first"), jumps[0] != jumps[1]


def _count_jumps(parted: Iterable[re.Match[str]], order: DateOrder) -> int:
    days = [day for match in parted if (day := _day_of(match, order))]
    return sum(earlier > later for earlier, later in pairwise(days))


def _decimal_sign(numbers: Iterable[str], prefers_comma: bool) -> str:
    texts = [DECORATION.sub("", text) for text in numbers]
    commas = sum(DECIMAL_COMMA.fullmatch(text) is not None for text in texts)
    points = sum("." in text and GROUPED["."].fullmatch(text) is not None for text in texts)
    if commas or points:
        return "," if commas > points or (commas == points and prefers_comma) else "."
    return "," if prefers_comma and any("," in text for text in texts) else "."


def is_date(text: str, order: DateOrder) -> bool:
    """Whether a text is a date in any notation."""
    return PARTED.fullmatch(text) is not None or (order == "serial" and SERIAL.fullmatch(text) is not None)


def convert_number(text: str, decimal: str) -> str:
    """A number with a decimal point and nothing else but digits; what is no number stays as it is."""
    bare = DECORATION.sub("", text)
    if not GROUPED[decimal].fullmatch(bare):
        return text
    if decimal == ",":
        return bare.replace(".", "").replace(",", ".")
    return bare.replace(",", "")


def convert_time(text: str, order: DateOrder, zone: ZoneInfo | None) -> str:
    """A time as `YYYY-MM-DD HH:MM:SS`; what is no time stays as it is.

    zone: where it is a local time, if it is given with another zone
    """
    if order == "serial" and SERIAL.fullmatch(text):
        return str((SERIAL_START + timedelta(days=float(text)) + timedelta(microseconds=500_000)).replace(microsecond=0))
    match = PARTED.fullmatch(text)
    if match is None or (day := _day_of(match, order)) is None:
        return text
    hour, minute, second = (int(match[place] or 0) for place in (5, 6, 7))
    if match[8]:
        hour = hour % 12 + (12 if match[8][0] in "Pp" else 0)
    try:
        time = datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        return text
    if match[9] and zone is not None:
        offset = "+00:00" if match[9] == "Z" else match[9]
        time = datetime.fromisoformat(f"{time}{offset}").astimezone(zone).replace(tzinfo=None)
    return str(time)


def _day_of(match: re.Match[str], order: DateOrder) -> date | None:
    first, second, third = match[1], match[3], match[4]
    if len(first) == 4:
        year, month, day = first, second, third
    elif order == "month first":
        month, day, year = first, second, third
    else:
        day, month, year = first, second, third
    if len(year) not in (2, 4) or len(day) > 2:
        return None
    try:
        return date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day))
    except ValueError:
        return None


def field_text(value: object, zone: ZoneInfo | None = None) -> str:
    """A value as text on one line."""
    if value is None:
        return ""
    for kinds, convert in CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    if isinstance(value, datetime):
        local = value.astimezone(zone) if value.tzinfo is not None and zone is not None else value
        return local.replace(tzinfo=None, microsecond=0).isoformat(" ")
    return LINE_ENDS.sub(" ", str(value))


def _float_text(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[..., str]], ...] = (
    (bool, lambda value: str(value).lower()),
    (float, _float_text),
    (Decimal, lambda value: format(value, "f")),
    ((dict, list), lambda value: json.dumps(value, ensure_ascii=False)),
)
