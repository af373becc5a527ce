"""Reads files of calendar entries: CSV and NDJSON."""

import csv
import io
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import orjson

from hashiramart.forecaster.v1 import calendar_pb2
from mesh.errors import InvalidArgument, StatusError
from mesh.interceptors.validation import violations
from services.forecaster.calendar import KINDS, EntryDetails, Row, RowFault
from services.forecaster.calendar_messages import entry_details
from services.forecaster.calendar_repository import fault_of

_COLUMNS = ("id", "kind", "name", "first_date", "last_date", "product_id", "category", "discount_percent")
_REQUIRED = ("kind", "first_date")
_MAX_ROWS = 5000
_KIND_PREFIX = "calendar_entry_kind_"


def read_rows(content: str, format: calendar_pb2.CalendarFileFormat.ValueType) -> tuple[list[Row], list[RowFault]]:
    """The rows of a file, and those that are at fault. Raises `InvalidArgument` if it cannot be read as a whole."""
    is_csv = format == calendar_pb2.CALENDAR_FILE_FORMAT_CSV
    rows, faults = list[Row](), list[RowFault]()
    for number, fields in enumerate(_read_csv(content) if is_csv else _read_ndjson(content), start=1):
        if number > _MAX_ROWS:
            raise _invalid("the file has more than {limit} rows", limit=_MAX_ROWS)
        try:
            rows.append(_row(number, fields))
        except StatusError as error:
            faults.append(fault_of(number, error))
    return rows, faults


def derived_id(details: EntryDetails) -> str:
    """The id of an entry of a file that gives it none: the same for the same content."""
    return sha256(repr(tuple(map(str, details))).encode()).hexdigest()[:16]


def _read_csv(content: str) -> Iterator[dict[str, object]]:
    reader = csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if len(set(header)) < len(header):
            raise _invalid("the header names a column twice")
        if unknown := sorted(set(header) - set(_COLUMNS)):
            raise _invalid("the header names unknown columns: {columns}", columns=", ".join(unknown))
        if missing := [name for name in _REQUIRED if name not in header]:
            raise _invalid("the header lacks {columns}", columns=", ".join(missing))
        for values in reader:
            if not values:
                continue
            if len(values) != len(header):
                yield {"": f"the row has {len(values)} fields, the header {len(header)}"}
            else:
                yield dict(zip(header, map(str.strip, values), strict=True))
    except csv.Error as error:
        raise _invalid("line {line} is not CSV: {cause}", line=reader.line_num, cause=error) from None


def _read_ndjson(content: str) -> Iterator[dict[str, object]]:
    for line in content.splitlines():
        if not line.strip():
            continue
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield {"": f"the line is not JSON: {error}"}
            continue
        yield fields if isinstance(fields, dict) and "" not in fields else {"": "the line is not a JSON object with named fields"}


def _row(number: int, fields: dict[str, object]) -> Row:
    """Raises `InvalidArgument`, which names the field."""
    if cause := fields.get(""):
        raise InvalidArgument("{cause}", cause=cause, reason="MALFORMED_REQUEST")
    if unknown := sorted(set(fields) - set(_COLUMNS)):
        raise InvalidArgument("there is no such field", field=unknown[0])
    message = calendar_pb2.CalendarEntry(kind=_kind(fields.get("kind")), discount_percent=_discount(fields.get("discount_percent")))
    for name in set(_COLUMNS) - {"kind", "discount_percent"}:
        value = fields.get(name) or ""
        if not isinstance(value, str):
            raise InvalidArgument("expected a text", field=name)
        setattr(message, name, value)
    if found := violations(message):
        raise InvalidArgument("{cause}", field=found[0].field, cause=found[0].description)
    details = entry_details(message)
    return Row(number, message.id or derived_id(details), details)


def _kind(value: object) -> calendar_pb2.CalendarEntryKind.ValueType:
    name = value.strip().lower().removeprefix(_KIND_PREFIX) if isinstance(value, str) else ""
    if name not in KINDS:
        raise InvalidArgument("'{kind}' is not one of {kinds}", field="kind", kind=value or "", kinds=", ".join(KINDS))
    return calendar_pb2.CalendarEntryKind.Value(f"{_KIND_PREFIX}{name}".upper())


def _discount(value: object) -> float:
    if value in (None, ""):
        return 0.0
    try:
        return float(str(value))
    except ValueError:
        raise InvalidArgument("'{discount}' is not a number", field="discount_percent", discount=value) from None


def _invalid(message: str, **metadata: Any) -> InvalidArgument:
    return InvalidArgument(message, field="content", reason="CALENDAR_FILE_INVALID", **metadata)
