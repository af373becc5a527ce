"""Messages from the strings of paths, queries and forms."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contract import TEXT_MESSAGES, Binding, fields_on_path
from gateway.json_parser import parse_json
from gateway.malformed import MalformedRequest
from gateway.path_template import PathVariable
from gateway.reader import message_filler
from gateway.routes import INCOMPLETE_ESCAPE, segment_text, segments_text
from gateway.scalars import scalar_reader

# Puts the strings of one parameter into a message.
Setter: TypeAlias = Callable[[Any, list[str]], None]
# Puts the segments of a path into a message.
PathFiller: TypeAlias = Callable[[Any, list[str]], None]
# Adds a string to a list of a message's field.
_Appender: TypeAlias = Callable[[Any, str], None]

# The most parameters of a query or a form, whether the message has them or not.
MAX_PARAMETERS = 1000

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")
_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_JSON_MESSAGES = {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}
_TEXT_TYPES = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_FLOAT_TYPES = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}


class QueryReader:
    """Fills a message from a query or a form: every field but the excluded ones and what is inside of those."""

    def __init__(self, descriptor: Descriptor, excluded: frozenset[str] = frozenset()) -> None:
        self._descriptor = descriptor
        self._excluded = excluded
        self._setters: dict[str, tuple[str, Setter]] = {}
        for field in descriptor.fields:
            for name in (field.name, field.json_name):
                if found := self._setter(name):
                    self._setters[name] = found

    def fill(self, message: Any, query: str) -> None:
        """Raises MalformedRequest for what cannot be read. Names that the message does not have are ignored."""
        texts: dict[str, list[str]] = {}
        setters: dict[str, Setter] = {}
        pairs = query.split("&", MAX_PARAMETERS)
        if len(pairs) > MAX_PARAMETERS:
            raise MalformedRequest(f"there are more than {MAX_PARAMETERS} parameters", max_parameters=str(MAX_PARAMETERS))
        for pair in pairs:
            name, _, value = pair.partition("=")
            name = _unquote(name, "the name of a parameter")
            if found := self._setters.get(name) or ("." in name and self._setter(name)):
                path, setters[path] = found
                texts.setdefault(path, []).append(_unquote(value, path))
        for path, setter in setters.items():
            try:
                setter(message, texts[path])
            except MalformedRequest as error:
                raise error.within(path) from None

    def _setter(self, name: str) -> tuple[str, Setter] | None:
        """The path of the field that a parameter names, and its setter; None if the parameter fills nothing."""
        try:
            fields = fields_on_path(self._descriptor, name)
        except KeyError:
            return None
        names = [field.name for field in fields]
        if any(".".join(names[:end]) in self._excluded for end in range(1, len(names) + 1)):
            return None
        return ".".join(names), _setter(fields) or _refuse_message


def path_filler(binding: Binding) -> PathFiller:
    """Puts the variables of a binding's path into its request. Raises MalformedRequest."""
    variables: list[tuple[PathVariable, Setter]] = []
    for variable in binding.template.variables:
        setter = _setter(fields_on_path(binding.method.descriptor.input_type, variable.field_path))
        if setter is None:
            raise ValueError(f"a path cannot fill {variable.field_path!r}")
        variables.append((variable, setter))

    def fill(message: Any, segments: list[str]) -> None:
        for variable, setter in variables:
            try:
                if variable.end == variable.start + 1:
                    setter(message, [segment_text(segments[variable.start])])
                else:
                    setter(message, [segments_text(segments[variable.start : variable.end])])
            except MalformedRequest as error:
                raise error.within(variable.field_path) from None
            except ValueError:
                raise _bad_escapes(variable.field_path) from None

    return fill


def _setter(fields: list[FieldDescriptor]) -> Setter | None:
    """Fills the last of these fields, each of which is inside the one before; None if strings cannot."""
    *outer, field = fields
    kind = field.message_type
    if kind and kind.full_name not in TEXT_MESSAGES | _JSON_MESSAGES:
        return None
    put = _list_setter(field) if field.is_repeated else _value_setter(field)
    oneof = field.containing_oneof.name if field.containing_oneof and len(field.containing_oneof.fields) > 1 else ""
    if not outer and not oneof:
        return put

    def put_inside(message: Any, texts: list[str]) -> None:
        for step in outer:
            message = getattr(message, step.name)
        if oneof and message.WhichOneof(oneof):
            raise MalformedRequest(f"only one field of {oneof} can be set")
        put(message, texts)

    return put_inside


def _refuse_message(_message: Any, _texts: list[str]) -> None:
    raise MalformedRequest("expected one of its fields, as in name.field")


def _value_setter(field: FieldDescriptor) -> Setter:
    name = field.name
    json_value = _json_value(field)
    if field.message_type:
        fill = message_filler(field.message_type)

        def put_message(message: Any, texts: list[str]) -> None:
            text = _single(texts)
            inner = getattr(message, name)
            inner.SetInParent()
            fill(inner, json_value(text), 1)

        return put_message
    read = scalar_reader(field)
    return lambda message, texts: setattr(message, name, read(json_value(_single(texts))))


def _list_setter(field: FieldDescriptor) -> Setter:
    name = field.name
    append = _appender(field)
    # Numbers and enums contain no comma, so that a list of them can be given in one value.
    accepts_commas = not field.message_type and field.type not in _TEXT_TYPES

    def put(message: Any, texts: list[str]) -> None:
        target = getattr(message, name)
        for text in ",".join(texts).split(",") if accepts_commas else texts:
            append(target, text)

    return put


def _appender(field: FieldDescriptor) -> _Appender:
    json_value = _json_value(field)
    if field.message_type:
        fill = message_filler(field.message_type)
        return lambda target, text: fill(target.add(), json_value(text), 1)
    read = scalar_reader(field)
    return lambda target, text: target.append(read(json_value(text)))


def _single(texts: list[str]) -> str:
    if len(texts) > 1:
        raise MalformedRequest("given more than once")
    return texts[0]


def _json_value(field: FieldDescriptor) -> Callable[[str], Any]:
    """From the string of a parameter to the JSON value that it stands for."""
    kind = field.message_type
    if kind:
        if kind.full_name in _JSON_MESSAGES:
            return lambda text: parse_json(text.encode())
        return _json_value(kind.fields_by_name["value"]) if "value" in kind.fields_by_name else str
    if field.enum_type or field.type in _TEXT_TYPES | _FLOAT_TYPES:
        return str
    return _bool if field.type == FieldDescriptor.TYPE_BOOL else _whole_number


def _bool(text: str) -> bool:
    if text not in _BOOLS:
        raise MalformedRequest("expected true or false")
    return _BOOLS[text]


def _whole_number(text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text):
        raise MalformedRequest("expected a whole number")
    return int(text)


def _unquote(text: str, name: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    if not INCOMPLETE_ESCAPE.search(text):
        try:
            return unquote_plus(text.encode("latin-1").decode(), errors="strict")
        except ValueError:
            pass
    raise _bad_escapes(name)


def _bad_escapes(name: str) -> MalformedRequest:
    return MalformedRequest("the percent-encoding is not valid UTF-8", name)
