"""JSON as messages: names in snake_case or camelCase, unknown ones ignored, everything else exact or refused."""

import json
import re
import struct
from base64 import urlsafe_b64decode
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

# How deep a request may be nested: what the services' own parsers take.
MAX_DEPTH = 100

# From a JSON value to a value that a field takes.
Reader: TypeAlias = Callable[[Any], Any]
# Puts a JSON value into a message.
Filler: TypeAlias = Callable[[Any, Any, int], None]


class Malformed(ValueError):
    """What is wrong with a request, and in which field if it is in one."""

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field

    def inside(self, outer: str) -> "Malformed":
        """The same, seen from the message that has the field."""
        separator = "." if self.field and not self.field.startswith("[") else ""
        return Malformed(self.problem, f"{outer}{separator}{self.field}")


def decoded(text: bytes) -> Any:
    """The first JSON value of a text; an empty text has none, which is an empty object. What follows the value is not looked at."""
    return _decoded(text)[0]


def decoded_line(text: bytes) -> Any:
    """The one JSON value of a line."""
    value, rest = _decoded(text)
    if rest:
        raise Malformed("there is more than one JSON value on the line")
    return value


def filler(descriptor: Descriptor) -> Filler:
    """What fills a message of this kind from its JSON. Made once for each kind."""
    if descriptor not in _fillers:
        # A message may contain its own kind: whoever meets it before it is made looks again when called.
        _fillers[descriptor] = lambda message, value, depth: _fillers[descriptor](message, value, depth)
        _fillers[descriptor] = _WELL_KNOWN[descriptor.full_name](descriptor) if descriptor.full_name in _WELL_KNOWN else _object(descriptor)
    return _fillers[descriptor]


def field_filler(field: FieldDescriptor) -> Filler:
    """What puts a JSON value into this field of a message; null leaves the field as it is."""
    if field.is_repeated:
        entry = field.message_type
        return _map(field, entry) if entry and entry.GetOptions().map_entry else _list(field)
    name = field.name
    if field.message_type:
        fill = filler(field.message_type)
        takes_null = field.message_type.full_name == "google.protobuf.Value"

        def put_message(message: Any, value: Any, depth: int) -> None:
            if value is not None or takes_null:
                inner = getattr(message, name)
                inner.SetInParent()
                fill(inner, value, depth + 1)

        return put_message
    read, takes_null = scalar(field), _is_null_enum(field)

    def put(message: Any, value: Any, depth: int) -> None:
        if value is not None or takes_null:
            setattr(message, name, read(value))

    return put


def scalar(field: FieldDescriptor) -> Reader:
    """What reads one JSON value of a field that is not a message."""
    return enum_number(field.enum_type) if field.enum_type else _SCALARS[field.type]


def enum_number(enum: EnumDescriptor) -> Reader:
    """What reads an enum: by its name, with or without the enum's own before it, in any case, or by its number."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).lower() + "_"
    numbers = {value.name.lower().removeprefix(prefix): value.number for value in reversed(enum.values)}
    numbers |= {value.name.lower(): value.number for value in enum.values}
    by_number = integer(-(2**31), 2**31 - 1)
    takes_null = enum.full_name == "google.protobuf.NullValue"

    def read(value: Any) -> Any:
        if type(value) is not str:
            if value is None and takes_null:
                return 0
            return by_number(value)
        if (known := numbers.get(value.lower())) is not None:
            return known
        if _WHOLE.fullmatch(value):
            return by_number(value)
        raise Malformed(f"{value!r} is not a value of {enum.name}")

    return read


def integer(lowest: int, highest: int) -> Reader:
    """What reads a whole number, also as text and with a fraction of zero."""

    def read(value: Any) -> int:
        kind = type(value)
        if kind is str and _NUMBER.fullmatch(value):
            value = Decimal(value)
            kind = Decimal
        if kind is Decimal:
            # A short text can name a number of a billion digits.
            if value.adjusted() > 20:
                raise Malformed(f"the number is out of range: {lowest} to {highest}")
            if value != (whole := int(value)):
                raise Malformed("expected a whole number")
            value = whole
        elif kind is not int:
            raise Malformed("expected a whole number")
        if not lowest <= value <= highest:
            raise Malformed(f"the number is out of range: {lowest} to {highest}")
        return value  # type: ignore[no-any-return]

    return read


def text(value: Any) -> str:
    """A string that PostgreSQL can store and UTF-8 can spell."""
    if type(value) is not str:
        raise Malformed("expected a string")
    if "\0" in value:
        raise Malformed("the character U+0000 is not allowed")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed("half of a surrogate pair is not a character") from None
    return value


def mask_paths(value: Any, descriptor: Descriptor) -> list[str]:
    """The fields that the body of a PATCH has, down to the innermost: what it means to change."""
    paths: list[str] = []
    for key, inner in value.items():
        field = descriptor.fields_by_name.get(key) or descriptor.fields_by_camelcase_name.get(key)
        if field is None:
            raise Malformed("there is no such field", key)
        below = field.message_type
        if type(inner) is dict and inner and below and not field.is_repeated and below.full_name not in _WELL_KNOWN:
            try:
                paths += [f"{field.name}.{path}" for path in mask_paths(inner, below)]
            except Malformed as problem:
                raise problem.inside(field.name) from None
        else:
            paths.append(field.name)
    return sorted(paths)


_fillers: dict[Descriptor, Filler] = {}
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_DURATION = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?s", re.ASCII)
_MASK_PATH = re.compile(r"(?:\*|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)")


def _decoded(data: bytes) -> tuple[Any, str]:
    try:
        source = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 at byte {error.start + 1}") from None
    start = _SPACE.match(source).end()  # type: ignore[union-attr]
    if start == len(source):
        return {}, ""
    try:
        value, end = _DECODER.raw_decode(source, start)
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}") from None
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    return value, source[end:].strip(" \t\r\n")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Malformed("the key is there twice", next(key for key in keys if keys.count(key) > 1))
    return members


def _whole(digits: str) -> int:
    if len(digits) > 400:
        raise Malformed("a number has too many digits")
    return int(digits)


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is not JSON; as a value of a field it is a string")


# Decimals keep whole numbers beyond 2^53 exact that are written with a fraction or an exponent.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Decimal, parse_int=_whole, parse_constant=_no_constant)


def _is_null_enum(field: FieldDescriptor) -> bool:
    return field.enum_type is not None and field.enum_type.full_name == "google.protobuf.NullValue"


def _object(descriptor: Descriptor) -> Filler:
    fields: dict[str, tuple[str, str, Filler]] = {}
    for field in descriptor.fields:
        oneof = field.containing_oneof.name if field.containing_oneof and len(field.containing_oneof.fields) > 1 else ""
        fields[field.name] = fields[field.json_name] = (field.name, oneof, field_filler(field))

    def fill(message: Any, value: Any, depth: int) -> None:
        if type(value) is not dict:
            raise Malformed("expected an object")
        if depth > MAX_DEPTH:
            raise Malformed("the body is nested too deeply")
        seen: set[str] = set()
        for key, item in value.items():
            if (found := fields.get(key)) is None:
                continue
            name, oneof, put = found
            if name in seen:
                raise Malformed("the field is there twice, in both spellings", name)
            seen.add(name)
            if oneof and item is not None:
                if f"oneof {oneof}" in seen:
                    raise Malformed(f"only one field of {oneof} can be set", name)
                seen.add(f"oneof {oneof}")
            try:
                put(message, item, depth)
            except Malformed as problem:
                raise problem.inside(name) from None

    return fill


def _list(field: FieldDescriptor) -> Filler:
    name = field.name
    append = _element_adder(field)

    def put(message: Any, value: Any, depth: int) -> None:
        if value is None:
            return
        if type(value) is not list:
            raise Malformed("expected an array")
        target = getattr(message, name)
        for index, item in enumerate(value):
            try:
                append(target, item, depth)
            except Malformed as problem:
                raise problem.inside(f"[{index}]") from None

    return put


def _element_adder(field: FieldDescriptor) -> Filler:
    if field.message_type:
        fill = filler(field.message_type)
        takes_null = field.message_type.full_name == "google.protobuf.Value"

        def add(target: Any, value: Any, depth: int) -> None:
            if value is None and not takes_null:
                raise Malformed("null is not an element")
            fill(target.add(), value, depth + 1)

        return add
    read = scalar(field)
    return lambda target, value, depth: target.append(read(value))


def _map(field: FieldDescriptor, entry: Descriptor) -> Filler:
    name = field.name
    key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
    read_key = _map_key(key_field)
    fill = filler(value_field.message_type) if value_field.message_type else None
    takes_null = value_field.message_type is not None and value_field.message_type.full_name == "google.protobuf.Value"
    read = None if fill else scalar(value_field)

    def put(message: Any, value: Any, depth: int) -> None:
        if value is None:
            return
        if type(value) is not dict:
            raise Malformed("expected an object")
        target = getattr(message, name)
        for key, item in value.items():
            try:
                place = read_key(key)
                if place in target:
                    raise Malformed("the key is there twice")
                if fill:
                    if item is None and not takes_null:
                        raise Malformed("null is not a value of a map")
                    fill(target[place], item, depth + 1)
                elif read:
                    target[place] = read(item)
            except Malformed as problem:
                raise problem.inside(f"[{json.dumps(key)}]") from None

    return put


def _map_key(field: FieldDescriptor) -> Reader:
    if field.type == FieldDescriptor.TYPE_BOOL:

        def read(key: str) -> bool:
            if key not in ("true", "false"):
                raise Malformed("expected true or false as the key")
            return key == "true"

        return read
    return scalar(field)


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Malformed("expected true or false")
    return value


def _double(value: Any) -> float:
    kind = type(value)
    if kind is str:
        if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        if not _NUMBER.fullmatch(value):
            raise Malformed("expected a number")
    elif kind is not int and kind is not Decimal:
        raise Malformed("expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number in (float("inf"), float("-inf")):
        raise Malformed("the number is out of range")
    return number


def _float(value: Any) -> float:
    number = _double(value)
    try:
        struct.pack("<f", number)
    except OverflowError:
        raise Malformed("the number is out of range") from None
    return number


def _bytes(value: Any) -> bytes:
    if type(value) is not str or not _BASE64.fullmatch(value):
        raise Malformed("expected base64")
    digits = value.rstrip("=").replace("+", "-").replace("/", "_")
    if len(digits) % 4 == 1:
        raise Malformed("expected base64")
    return urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


_INT32, _UINT32 = integer(-(2**31), 2**31 - 1), integer(0, 2**32 - 1)
_INT64, _UINT64 = integer(-(2**63), 2**63 - 1), integer(0, 2**64 - 1)
_SCALARS: dict[int, Reader] = {
    FieldDescriptor.TYPE_STRING: text,
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_FLOAT: _float,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}


def _timestamp(message: Any, value: Any, depth: int) -> None:
    if type(value) is not str or not _TIME.fullmatch(value):
        raise Malformed("expected a time such as 2011-12-09T12:50:00Z")
    try:
        message.FromJsonString(value)
    except ValueError:
        raise Malformed("there is no such time") from None


def _duration(message: Any, value: Any, depth: int) -> None:
    if type(value) is not str or not _DURATION.fullmatch(value):
        raise Malformed("expected a duration in seconds such as 1.5s")
    try:
        message.FromJsonString(value)
    except ValueError:
        raise Malformed("the duration is out of range") from None


def _field_mask(message: Any, value: Any, depth: int) -> None:
    if type(value) is not str:
        raise Malformed("expected field names, separated by commas")
    for path in filter(None, value.split(",")):
        if not _MASK_PATH.fullmatch(path):
            raise Malformed(f"{text(path)!r} is not the name of a field")
        message.paths.append(re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", path))


def _value(message: Any, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Malformed("the body is nested too deeply")
    if value is None:
        message.null_value = 0
    elif type(value) is bool:
        message.bool_value = value
    elif type(value) is str:
        message.string_value = text(value)
    elif type(value) is dict:
        message.struct_value.SetInParent()
        _struct(message.struct_value, value, depth + 1)
    elif type(value) is list:
        message.list_value.SetInParent()
        _list_value(message.list_value, value, depth + 1)
    else:
        message.number_value = _double(value)


def _struct(message: Any, value: Any, depth: int) -> None:
    if type(value) is not dict:
        raise Malformed("expected an object")
    for key, item in value.items():
        # Each member is an entry of a map, which counts as a message of its own.
        _value(message.fields[text(key)], item, depth + 2)


def _list_value(message: Any, value: Any, depth: int) -> None:
    if type(value) is not list:
        raise Malformed("expected an array")
    for item in value:
        _value(message.values.add(), item, depth + 1)


def _any(descriptor: Descriptor) -> Filler:
    pool = descriptor.file.pool

    def fill(message: Message, value: Any, depth: int) -> None:
        try:
            json_format.ParseDict(value, message, ignore_unknown_fields=True, descriptor_pool=pool, max_recursion_depth=MAX_DEPTH - depth)
        except (json_format.ParseError, TypeError, AttributeError, UnicodeEncodeError, RecursionError):
            raise Malformed("expected a message with its @type") from None

    return fill


def _wrapper(descriptor: Descriptor) -> Filler:
    return field_filler(descriptor.fields_by_name["value"])


_WELL_KNOWN: dict[str, Callable[[Descriptor], Filler]] = {
    "google.protobuf.Timestamp": lambda _: _timestamp,
    "google.protobuf.Duration": lambda _: _duration,
    "google.protobuf.FieldMask": lambda _: _field_mask,
    "google.protobuf.Any": _any,
    "google.protobuf.Value": lambda _: _value,
    "google.protobuf.Struct": lambda _: _struct,
    "google.protobuf.ListValue": lambda _: _list_value,
    **{
        f"google.protobuf.{name}Value": _wrapper
        for name in ("Bool", "String", "Bytes", "Float", "Double", "Int32", "Int64", "UInt32", "UInt64")
    },
}
