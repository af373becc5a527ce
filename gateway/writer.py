"""JSON from messages: proto field names, defaults included, unset messages null, unset optional fields left out."""

import math
import struct
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from keyword import iskeyword
from operator import methodcaller
from typing import Any, TypeAlias

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

# From a message, or the value of a field, to what orjson serializes.
Writer: TypeAlias = Callable[[Any], Any]

_INT64_TYPES = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
}
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_writers: dict[Descriptor, Writer] = {}


def encoder(descriptor: Descriptor) -> Callable[[bytes], bytes]:
    """From the bytes of a message to its JSON."""
    parse, write, dumps = GetMessageClass(descriptor).FromString, writer(descriptor), orjson.dumps
    return lambda raw: dumps(write(parse(raw)))


def writer(descriptor: Descriptor) -> Writer:
    """From a message of this type to what orjson serializes. Built once per type; raises ValueError for what JSON cannot express."""
    if descriptor not in _writers:
        # A type may contain itself: a writer that is asked for while it is being built is looked up again at each call.
        _writers[descriptor] = lambda message: _writers[descriptor](message)
        well_known = _WELL_KNOWN.get(descriptor.full_name)
        _writers[descriptor] = well_known(descriptor) if well_known else _compile(descriptor)
    return _writers[descriptor]


def _compile(descriptor: Descriptor) -> Writer:
    """The writer of an ordinary message, compiled from source that names every field: a dict literal is twice as fast as a loop."""
    parts: dict[str, Any] = {}
    literal: list[str] = []
    lines: list[str] = []
    for field in descriptor.fields:
        key, attribute = repr(field.name), f"getattr(m, {field.name!r})"
        if field.name.isidentifier() and not iskeyword(field.name):
            attribute = f"m.{field.name}"
        if field.has_presence and not field.is_repeated:
            value, is_set = _expression(field, attribute, parts), f"m.HasField({key})"
            if field.containing_oneof or not field.message_type:
                lines.append(f"    if {is_set}: d[{key}] = {value}")
                continue
            value = f"{value} if {is_set} else None"
        else:
            value = _list_expression(field, attribute, parts) if field.is_repeated else _expression(field, attribute, parts)
        if lines:
            lines.append(f"    d[{key}] = {value}")
        else:
            literal.append(f"{key}: {value}")
    source = "\n".join(["def write(m):", f"    d = {{{', '.join(literal)}}}", *lines, "    return d"])
    exec(source, parts)  # noqa: S102 - the source comes from descriptors alone
    write: Writer = parts["write"]
    return write


def _list_expression(field: FieldDescriptor, attribute: str, parts: dict[str, Any]) -> str:
    entry = field.message_type
    if entry and entry.GetOptions().map_entry:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        name = {FieldDescriptor.TYPE_STRING: "k", FieldDescriptor.TYPE_BOOL: "('true' if k else 'false')"}.get(key.type, "str(k)")
        # By index, since items() of a map of messages copies them.
        parts[f"map{field.number}"] = eval(f"lambda v: {_expression(value, 'v', parts, field.number)}", parts)  # noqa: S307 - as above
        return f"{{{name}: map{field.number}({attribute}[k]) for k in {attribute}}}"
    element = _expression(field, "x", parts)
    return f"{attribute}[:]" if element == "x" else f"[{element} for x in {attribute}]"


def _expression(field: FieldDescriptor, value: str, parts: dict[str, Any], number: int | None = None) -> str:
    """The source that writes one value. Adds what it calls to `parts`."""
    name = f"f{number or field.number}"
    if field.message_type:
        parts[name] = writer(field.message_type)
    elif field.enum_type:
        parts[name] = _enum(field.enum_type)
    elif field.type in _INT64_TYPES:
        return f"str({value})"
    elif field.type in _SCALARS:
        parts[name] = _SCALARS[field.type]
    else:
        return value
    return f"{name}({value})"


def _enum(enum: EnumDescriptor) -> Callable[[int], str | int | None]:
    if enum.full_name == "google.protobuf.NullValue":
        return lambda _: None
    # Of several names for one number the first is written. A number without a name stays a number.
    return _Names({value.number: value.name for value in reversed(enum.values)}).__getitem__


class _Names(dict[int, str]):
    def __missing__(self, number: int) -> int:
        return number


def _bytes(value: bytes) -> str:
    return b64encode(value).decode()


def _double(value: float) -> float | str:
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _float(value: float) -> float | str:
    """The shortest decimal that reads back as the same float of 32 bits."""
    if not math.isfinite(value):
        return _double(value)
    exact = struct.pack("f", value)
    return next(short for digits in (6, 7, 8, 9) if struct.pack("f", short := float(f"{value:.{digits}g}")) == exact)


_SCALARS: dict[int, Writer] = {
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_FLOAT: _float,
}


def _timestamp(time: Any) -> str:
    return _time(time.seconds, time.nanos)


@lru_cache(4096)
def _time(seconds: int, nanos: int) -> str:
    """RFC 3339. Cached, since resources imported together share a time and one that was never changed has it twice."""
    if not (_FIRST_SECOND <= seconds <= _LAST_SECOND and 0 <= nanos < 1_000_000_000):
        raise ValueError(f"{seconds} seconds and {nanos} nanoseconds are not a time between the years 1 and 9999")
    minute, second = divmod(seconds, 60)
    if not nanos:
        return f"{_minute(minute)}{second:02d}Z"
    if nanos % 1000:
        return f"{_minute(minute)}{second:02d}.{nanos:09d}Z"
    if nanos % 1_000_000:
        return f"{_minute(minute)}{second:02d}.{nanos // 1000:06d}Z"
    return f"{_minute(minute)}{second:02d}.{nanos // 1_000_000:03d}Z"


@lru_cache(4096)
def _minute(minute: int) -> str:
    """A time up to its minute. Cached, since the times of one response are often close together."""
    time = _EPOCH + timedelta(minutes=minute)
    return f"{time.year:04d}-{time.month:02d}-{time.day:02d}T{time.hour:02d}:{time.minute:02d}:"


def _any(descriptor: Descriptor) -> Writer:
    pool = descriptor.file.pool

    def write(packed: Any) -> object:
        if not packed.type_url and not packed.value:
            return {}
        try:
            content = pool.FindMessageTypeByName(packed.type_url.rpartition("/")[2])
        except KeyError:
            # A detail of an unknown type must not hide the rest of an error.
            return {"@type": packed.type_url, "value": _bytes(packed.value)}
        value = writer(content)(GetMessageClass(content).FromString(packed.value))
        return {"@type": packed.type_url, "value": value} if content.full_name in _WELL_KNOWN else {"@type": packed.type_url, **value}

    return write


def _value(value: Any) -> object:
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return _list(value.list_value)
    if kind == "number_value":
        if not math.isfinite(value.number_value):
            raise ValueError(f"{value.number_value} cannot be a JSON number")
        return value.number_value
    return getattr(value, kind)


def _struct(struct: Any) -> object:
    return {name: _value(struct.fields[name]) for name in struct.fields}


def _list(values: Any) -> object:
    return [_value(value) for value in values.values]


def _wrapper(descriptor: Descriptor) -> Writer:
    field = descriptor.fields_by_name["value"]
    parts: dict[str, Any] = {}
    write: Writer = eval(f"lambda m: {_expression(field, 'm.value', parts)}", parts)  # noqa: S307 - made from descriptors alone
    return write


def _text(_: Descriptor) -> Writer:
    return methodcaller("ToJsonString")


_WELL_KNOWN: dict[str, Callable[[Descriptor], Writer]] = {
    "google.protobuf.Timestamp": lambda _: _timestamp,
    "google.protobuf.Duration": _text,
    "google.protobuf.FieldMask": _text,
    "google.protobuf.Any": _any,
    "google.protobuf.Value": lambda _: _value,
    "google.protobuf.Struct": lambda _: _struct,
    "google.protobuf.ListValue": lambda _: _list,
    **{
        f"google.protobuf.{name}Value": _wrapper
        for name in ("Bool", "String", "Bytes", "Float", "Double", "Int32", "Int64", "UInt32", "UInt64")
    },
}
