"""Messages from parsed JSON: names in snake_case or camelCase, unknown ones ignored, everything else exact or an error."""

import json
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.json_parser import MAX_DEPTH
from gateway.malformed import MalformedRequest
from gateway.scalars import NULL_ENUM, ScalarReader, scalar_reader
from gateway.well_known import WRAPPERS, Filler, well_known_filler

_NULL_MESSAGE = "google.protobuf.Value"

_fillers: dict[Descriptor, Filler] = {}


def message_filler(descriptor: Descriptor) -> Filler:
    """Fills a message of this type from its JSON. Built once per type."""
    if descriptor not in _fillers:
        # A type may contain itself: a filler that is asked for while it is being built is looked up again at each call.
        _fillers[descriptor] = lambda message, value, depth: _fillers[descriptor](message, value, depth)
        if descriptor.full_name in WRAPPERS:
            _fillers[descriptor] = field_filler(descriptor.fields_by_name["value"])
        else:
            _fillers[descriptor] = well_known_filler(descriptor) or _object_filler(descriptor)
    return _fillers[descriptor]


def field_filler(field: FieldDescriptor) -> Filler:
    """Puts a JSON value into this field of a message; null leaves the field as it is."""
    if field.is_repeated:
        entry = field.message_type
        return _map_filler(field, entry) if entry and entry.GetOptions().map_entry else _list_filler(field)
    name = field.name
    if field.message_type:
        fill = message_filler(field.message_type)
        accepts_null = _accepts_null(field)

        def put_message(message: Any, value: Any, depth: int) -> None:
            if value is not None or accepts_null:
                inner = getattr(message, name)
                inner.SetInParent()
                fill(inner, value, depth + 1)

        return put_message
    read, accepts_null = scalar_reader(field), _accepts_null(field)

    def put(message: Any, value: Any, depth: int) -> None:
        if value is not None or accepts_null:
            setattr(message, name, read(value))

    return put


def mask_paths(value: Any, descriptor: Descriptor) -> list[str]:
    """The field mask that the body of a PATCH implies: the paths of the innermost fields that it has."""
    paths: list[str] = []
    for key, inner in value.items():
        field = descriptor.fields_by_name.get(key) or descriptor.fields_by_camelcase_name.get(key)
        if field is None:
            raise MalformedRequest("there is no such field", key)
        if type(inner) is dict and inner and (inside := _message_with_paths(field)):
            try:
                paths += [f"{field.name}.{path}" for path in mask_paths(inner, inside)]
            except MalformedRequest as error:
                raise error.within(field.name) from None
        else:
            paths.append(field.name)
    return sorted(paths)


def _message_with_paths(field: FieldDescriptor) -> Descriptor | None:
    """The message in a field if a mask can name its fields; None if it only names the field itself."""
    kind = field.message_type
    if kind is None or field.is_repeated or kind.full_name in WRAPPERS or well_known_filler(kind):
        return None
    return kind


def _accepts_null(field: FieldDescriptor) -> bool:
    """Whether null is a value of this field, instead of leaving it unset."""
    if field.message_type:
        return bool(field.message_type.full_name == _NULL_MESSAGE)
    return field.enum_type is not None and field.enum_type.full_name == NULL_ENUM


def _object_filler(descriptor: Descriptor) -> Filler:
    fields: dict[str, tuple[str, str, Filler]] = {}
    for field in descriptor.fields:
        oneof = field.containing_oneof.name if field.containing_oneof and len(field.containing_oneof.fields) > 1 else ""
        fields[field.name] = fields[field.json_name] = (field.name, oneof, field_filler(field))

    def fill(message: Any, value: Any, depth: int) -> None:
        if type(value) is not dict:
            raise MalformedRequest("expected an object")
        if depth > MAX_DEPTH:
            raise MalformedRequest("the body is nested too deeply")
        seen: set[str] = set()
        for key, item in value.items():
            if (found := fields.get(key)) is None:
                continue
            name, oneof, put = found
            if name in seen:
                raise MalformedRequest("the field is given twice, in both spellings", name)
            seen.add(name)
            if oneof and item is not None:
                if f"oneof {oneof}" in seen:
                    raise MalformedRequest(f"only one field of {oneof} can be set", name)
                seen.add(f"oneof {oneof}")
            try:
                put(message, item, depth)
            except MalformedRequest as error:
                raise error.within(name) from None

    return fill


def _list_filler(field: FieldDescriptor) -> Filler:
    name = field.name
    append = _element_appender(field)

    def put(message: Any, value: Any, depth: int) -> None:
        if value is None:
            return
        if type(value) is not list:
            raise MalformedRequest("expected an array")
        target = getattr(message, name)
        for index, item in enumerate(value):
            try:
                append(target, item, depth)
            except MalformedRequest as error:
                raise error.within(f"[{index}]") from None

    return put


def _element_appender(field: FieldDescriptor) -> Filler:
    if field.message_type:
        fill = message_filler(field.message_type)
        accepts_null = _accepts_null(field)

        def append(target: Any, value: Any, depth: int) -> None:
            if value is None and not accepts_null:
                raise MalformedRequest("null is not an element")
            fill(target.add(), value, depth + 1)

        return append
    read = scalar_reader(field)
    return lambda target, value, depth: target.append(read(value))


def _map_filler(field: FieldDescriptor, entry: Descriptor) -> Filler:
    name = field.name
    read_key = _map_key_reader(entry.fields_by_name["key"])
    set_item = _map_item_setter(entry.fields_by_name["value"])

    def put(message: Any, value: Any, depth: int) -> None:
        if value is None:
            return
        if type(value) is not dict:
            raise MalformedRequest("expected an object")
        target = getattr(message, name)
        for text, item in value.items():
            try:
                key = read_key(text)
                if key in target:
                    raise MalformedRequest("duplicate key")
                set_item(target, key, item, depth)
            except MalformedRequest as error:
                raise error.within(f"[{json.dumps(text)}]") from None

    return put


def _map_item_setter(field: FieldDescriptor) -> Any:
    """Puts a JSON value under a key of a map: (map, key, value, depth)."""
    if field.message_type:
        fill = message_filler(field.message_type)
        accepts_null = _accepts_null(field)

        def set_message(target: Any, key: Any, value: Any, depth: int) -> None:
            if value is None and not accepts_null:
                raise MalformedRequest("null is not a value of a map")
            fill(target[key], value, depth + 1)

        return set_message
    read = scalar_reader(field)

    def set_scalar(target: Any, key: Any, value: Any, depth: int) -> None:
        target[key] = read(value)

    return set_scalar


def _map_key_reader(field: FieldDescriptor) -> ScalarReader:
    return _read_bool_key if field.type == FieldDescriptor.TYPE_BOOL else scalar_reader(field)


def _read_bool_key(key: str) -> bool:
    if key not in ("true", "false"):
        raise MalformedRequest("expected true or false as the key")
    return key == "true"
