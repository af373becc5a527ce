"""Readers of scalar fields: from one JSON value to the value of a number, text, enum, bool or bytes field."""

import re
import struct
from base64 import urlsafe_b64decode
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway.malformed import MalformedRequest

# From a JSON value to a value that a field accepts. Raises MalformedRequest.
ScalarReader: TypeAlias = Callable[[Any], Any]

NULL_ENUM = "google.protobuf.NullValue"

# The exponent of a number that is out of range for certain: a short text can name a number of a billion digits.
_MAX_EXPONENT = 20
_INFINITIES = (float("inf"), float("-inf"))
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ENUM_NUMBER = re.compile(r"[+-]?[0-9]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def scalar_reader(field: FieldDescriptor) -> ScalarReader:
    """The reader of one value of a field that is not a message."""
    return _enum_reader(field.enum_type) if field.enum_type else _READERS[field.type]


def read_text(value: Any) -> str:
    """A string that UTF-8 can encode and PostgreSQL can store."""
    if type(value) is not str:
        raise MalformedRequest("expected a string")
    if "\0" in value:
        raise MalformedRequest("the character U+0000 is not allowed")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MalformedRequest("half of a surrogate pair is not a character") from None
    return value


def read_double(value: Any) -> float:
    """A number, also as a string; NaN and the infinities as strings only."""
    kind = type(value)
    if kind is str:
        if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        if not _NUMBER.fullmatch(value):
            raise MalformedRequest("expected a number")
    elif kind is not int and kind is not Decimal:
        raise MalformedRequest("expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number in _INFINITIES:
        raise MalformedRequest("the number is out of range")
    return number


def _read_float(value: Any) -> float:
    number = read_double(value)
    try:
        struct.pack("<f", number)
    except OverflowError:
        raise MalformedRequest("the number is out of range") from None
    return number


def _read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise MalformedRequest("expected true or false")
    return value


def _read_bytes(value: Any) -> bytes:
    if type(value) is not str or not _BASE64.fullmatch(value):
        raise MalformedRequest("expected base64")
    digits = value.rstrip("=").replace("+", "-").replace("/", "_")
    if len(digits) % 4 == 1:
        raise MalformedRequest("expected base64")
    return urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def _integer_reader(lowest: int, highest: int) -> ScalarReader:
    """Reads a whole number, also as a string or with a fraction of zero."""

    def read(value: Any) -> int:
        kind = type(value)
        if kind is str and _NUMBER.fullmatch(value):
            value = Decimal(value)
            kind = Decimal
        if kind is Decimal:
            if value.adjusted() > _MAX_EXPONENT:
                raise MalformedRequest(f"the number is out of range: {lowest} to {highest}")
            if value != (whole := int(value)):
                raise MalformedRequest("expected a whole number")
            value = whole
        elif kind is not int:
            raise MalformedRequest("expected a whole number")
        if not lowest <= value <= highest:
            raise MalformedRequest(f"the number is out of range: {lowest} to {highest}")
        return value  # type: ignore[no-any-return]

    return read


def _enum_reader(enum: EnumDescriptor) -> ScalarReader:
    """Reads an enum's name in any case, with or without the enum's own name before it, or its number."""
    prefix = _WORD_START.sub("_", enum.name).lower() + "_"
    numbers = {value.name.lower().removeprefix(prefix): value.number for value in reversed(enum.values)}
    numbers |= {value.name.lower(): value.number for value in enum.values}
    accepts_null = enum.full_name == NULL_ENUM

    def read(value: Any) -> Any:
        if type(value) is not str:
            if value is None and accepts_null:
                return 0
            return _read_int32(value)
        if (known := numbers.get(value.lower())) is not None:
            return known
        if _ENUM_NUMBER.fullmatch(value):
            return _read_int32(value)
        raise MalformedRequest(f"{value!r} is not a value of {enum.name}")

    return read


_read_int32, _read_uint32 = _integer_reader(-(2**31), 2**31 - 1), _integer_reader(0, 2**32 - 1)
_read_int64, _read_uint64 = _integer_reader(-(2**63), 2**63 - 1), _integer_reader(0, 2**64 - 1)
_READERS: dict[int, ScalarReader] = {
    FieldDescriptor.TYPE_STRING: read_text,
    FieldDescriptor.TYPE_BYTES: _read_bytes,
    FieldDescriptor.TYPE_BOOL: _read_bool,
    FieldDescriptor.TYPE_DOUBLE: read_double,
    FieldDescriptor.TYPE_FLOAT: _read_float,
    **dict.fromkeys((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32), _read_int32),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), _read_uint32),
    **dict.fromkeys((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64), _read_int64),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), _read_uint64),
}
