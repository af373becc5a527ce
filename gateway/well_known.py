"""Readers of protobuf's well-known messages, whose JSON is not an object of their fields."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from gateway.json_parser import MAX_DEPTH
from gateway.malformed import MalformedRequest
from gateway.scalars import read_double, read_text

# Puts a JSON value, found at some depth of the body, into a message. Raises MalformedRequest.
Filler: TypeAlias = Callable[[Any, Any, int], None]

WRAPPERS = {f"google.protobuf.{name}Value" for name in ("Bool", "String", "Bytes", "Float", "Double", "Int32", "Int64", "UInt32", "UInt64")}

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_DURATION = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?s", re.ASCII)
_MASK_PATH = re.compile(r"(?:\*|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
_CAPITAL = re.compile("[A-Z]")


def well_known_filler(descriptor: Descriptor) -> Filler | None:
    """The filler of a well-known message, or None for another message. Wrappers are not among them: each reads like its one field."""
    if descriptor.full_name == "google.protobuf.Any":
        return _any_filler(descriptor)
    return _FILLERS.get(descriptor.full_name)


def _fill_timestamp(message: Any, value: Any, depth: int) -> None:
    if type(value) is not str or not _TIME.fullmatch(value):
        raise MalformedRequest("expected a time such as 2011-12-09T12:50:00Z")
    try:
        message.FromJsonString(value)
    except ValueError:
        raise MalformedRequest("there is no such time") from None


def _fill_duration(message: Any, value: Any, depth: int) -> None:
    if type(value) is not str or not _DURATION.fullmatch(value):
        raise MalformedRequest("expected a duration in seconds such as 1.5s")
    try:
        message.FromJsonString(value)
    except ValueError:
        raise MalformedRequest("the duration is out of range") from None


def _fill_field_mask(message: Any, value: Any, depth: int) -> None:
    if type(value) is not str:
        raise MalformedRequest("expected field names, separated by commas")
    for path in filter(None, value.split(",")):
        if not _MASK_PATH.fullmatch(path):
            raise MalformedRequest(f"{read_text(path)!r} is not the name of a field")
        message.paths.append(_CAPITAL.sub(lambda letter: f"_{letter[0].lower()}", path))


def _fill_value(message: Any, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise MalformedRequest("the body is nested too deeply")
    if value is None:
        message.null_value = 0
    elif type(value) is bool:
        message.bool_value = value
    elif type(value) is str:
        message.string_value = read_text(value)
    elif type(value) is dict:
        message.struct_value.SetInParent()
        _fill_struct(message.struct_value, value, depth + 1)
    elif type(value) is list:
        message.list_value.SetInParent()
        _fill_list_value(message.list_value, value, depth + 1)
    else:
        message.number_value = read_double(value)


def _fill_struct(message: Any, value: Any, depth: int) -> None:
    if type(value) is not dict:
        raise MalformedRequest("expected an object")
    for key, item in value.items():
        # Each member is a map entry, which counts as a message of its own.
        _fill_value(message.fields[read_text(key)], item, depth + 2)


def _fill_list_value(message: Any, value: Any, depth: int) -> None:
    if type(value) is not list:
        raise MalformedRequest("expected an array")
    for item in value:
        _fill_value(message.values.add(), item, depth + 1)


def _any_filler(descriptor: Descriptor) -> Filler:
    pool = descriptor.file.pool

    def fill(message: Message, value: Any, depth: int) -> None:
        try:
            json_format.ParseDict(value, message, ignore_unknown_fields=True, descriptor_pool=pool, max_recursion_depth=MAX_DEPTH - depth)
        except (json_format.ParseError, TypeError, AttributeError, UnicodeEncodeError, RecursionError):
            raise MalformedRequest("expected a message with its @type") from None

    return fill


_FILLERS: dict[str, Filler] = {
    "google.protobuf.Timestamp": _fill_timestamp,
    "google.protobuf.Duration": _fill_duration,
    "google.protobuf.FieldMask": _fill_field_mask,
    "google.protobuf.Value": _fill_value,
    "google.protobuf.Struct": _fill_struct,
    "google.protobuf.ListValue": _fill_list_value,
}
