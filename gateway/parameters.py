"""Paths, queries and forms as messages: text that fills fields."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contract import TEXT_MESSAGES, Binding, Variable, field_at
from gateway.reader import Malformed, decoded, filler, scalar
from gateway.routes import BAD_ESCAPE, segment_text, segments_text

# Puts the texts of one parameter into a message.
Setter: TypeAlias = Callable[[Any, list[str]], None]
# Puts what the segments of a path say into a message.
PathFiller: TypeAlias = Callable[[Any, list[str]], None]


class Query:
    """What a query or a form fills of a message: every field but those of `taken`, and what is inside of them."""

    def __init__(self, descriptor: Descriptor, taken: frozenset[str] = frozenset()) -> None:
        self._descriptor = descriptor
        self._taken = taken
        self._setters: dict[str, tuple[str, Setter]] = {}
        for field in descriptor.fields:
            for name in (field.name, field.json_name):
                if found := self._setter(name):
                    self._setters[name] = found

    def fill(self, message: Any, query: str) -> None:
        """Raises Malformed for what cannot be read; names that the message does not have are nobody's mistake."""
        texts: dict[str, list[str]] = {}
        setters: dict[str, Setter] = {}
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            name = _unquoted(name, "the name of a parameter")
            if found := self._setters.get(name) or ("." in name and self._setter(name)):
                path, setters[path] = found
                texts.setdefault(path, []).append(_unquoted(value, path))
        for path, setter in setters.items():
            try:
                setter(message, texts[path])
            except Malformed as problem:
                raise problem.inside(path) from None

    def _setter(self, name: str) -> tuple[str, Setter] | None:
        try:
            fields = field_at(self._descriptor, name)
        except KeyError:
            return None
        names = [field.name for field in fields]
        if any(".".join(names[:end]) in self._taken for end in range(1, len(names) + 1)):
            return None
        setter = _setter(fields)
        return (".".join(names), setter) if setter else None


def path_filler(binding: Binding) -> PathFiller:
    """What puts the variables of a binding's path into its request."""
    variables: list[tuple[Variable, Setter]] = []
    for variable in binding.template.variables:
        setter = _setter(field_at(binding.method.descriptor.input_type, variable.field_path))
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
            except Malformed as problem:
                raise problem.inside(variable.field_path) from None
            except ValueError:
                raise Malformed("its escapes are not UTF-8", variable.field_path) from None

    return fill


_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_JSON_MESSAGES = {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}
_TEXT_TYPES = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}


def _setter(fields: list[FieldDescriptor]) -> Setter | None:
    """What fills the last of these fields, each of which is inside of the one before; None if text cannot."""
    *outer, field = fields
    kind = field.message_type
    if kind and kind.full_name not in TEXT_MESSAGES | _JSON_MESSAGES:
        return None
    value = _json_value(field)
    name = field.name
    fill = filler(kind) if kind else None
    read = None if kind else scalar(field)
    # Numbers and enums have no comma in them, so that a list of them can stand in one value.
    has_commas = not kind and field.type not in _TEXT_TYPES

    oneof = field.containing_oneof.name if field.containing_oneof and len(field.containing_oneof.fields) > 1 else ""

    def put(message: Any, texts: list[str]) -> None:
        for step in outer:
            message = getattr(message, step.name)
        if oneof and message.WhichOneof(oneof):
            raise Malformed(f"only one field of {oneof} can be set")
        if field.is_repeated:
            target = getattr(message, name)
            for part in ",".join(texts).split(",") if has_commas else texts:
                if fill:
                    fill(target.add(), value(part), 1)
                elif read:
                    target.append(read(value(part)))
            return
        if len(texts) > 1:
            raise Malformed("it is there more than once")
        if fill:
            inner = getattr(message, name)
            inner.SetInParent()
            fill(inner, value(texts[0]), 1)
        elif read:
            setattr(message, name, read(value(texts[0])))

    return put


def _json_value(field: FieldDescriptor) -> Callable[[str], Any]:
    """What makes the JSON value of a text that stands for one."""
    kind = field.message_type
    if kind:
        if kind.full_name in _JSON_MESSAGES:
            return lambda text: decoded(text.encode())
        return _json_value(kind.fields_by_name["value"]) if "value" in kind.fields_by_name else str
    if field.enum_type or field.type in _TEXT_TYPES | _FLOATS:
        return str
    return _truth if field.type == FieldDescriptor.TYPE_BOOL else _whole


def _truth(text: str) -> bool:
    if text not in _TRUTHS:
        raise Malformed("expected true or false")
    return _TRUTHS[text]


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise Malformed("expected a whole number")
    return int(text)


def _unquoted(text: str, name: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    if not BAD_ESCAPE.search(text):
        try:
            return unquote_plus(text.encode("latin-1").decode(), errors="strict")
        except ValueError:
            pass
    raise Malformed("its escapes are not UTF-8", name)
