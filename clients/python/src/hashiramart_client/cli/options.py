"""The options of a command, from the fields of its request."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import click
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from hashiramart_client.cli.rpcs import Rpc, behaviors, is_map, short_names

_INTEGERS = {
    getattr(FieldDescriptor, f"TYPE_{name}")
    for name in ("INT32", "INT64", "UINT32", "UINT64", "SINT32", "SINT64", "FIXED32", "FIXED64", "SFIXED32", "SFIXED64")
}
_FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}
_GOOGLE = "google.protobuf."
_WRAPPERS = {f"{_GOOGLE}{name}Value" for name in ("String", "Bytes", "Bool", "Float", "Double", "Int32", "Int64", "UInt32", "UInt64")}
_SECRET = re.compile(r"(^|_)(password|secret|token)$")
# The options of the command line itself.
RESERVED = ("all", "help", "json", "limit", "output", "server", "timeout", "tls-ca", "tls-certificate", "tls-key")
FIELD_MASK = f"{_GOOGLE}FieldMask"


@dataclass(frozen=True)
class RequestField:
    """A field of the request that an option or an argument gives."""

    path: tuple[str, ...]
    """Its names from the request on."""
    descriptor: FieldDescriptor
    option: str
    """Its name on the command line, such as `price-cents`."""
    is_required: bool

    @property
    def key(self) -> str:
        """The name of click's parameter."""
        return parameter_name(".".join(self.path))

    @property
    def is_secret(self) -> bool:
        """Whether its value must not be on a command line, which others can see."""
        return field_behavior_pb2.INPUT_ONLY in behaviors(self.descriptor) and bool(_SECRET.search(self.descriptor.name))

    @property
    def is_json(self) -> bool:
        """Whether its value is JSON, which no query can carry."""
        kind = self.descriptor.message_type
        return is_map(self.descriptor) or bool(kind and isinstance(value_type(self.descriptor), JsonText))

    def option_of(self, help: str) -> click.Option:
        names = [f"--{self.option}"]
        if self.is_secret:
            return click.Option([self.key, *names], is_flag=True, help=f"{help} Prompted for, or read from standard input.")
        kind = value_type(self.descriptor)
        if isinstance(kind, click.types.BoolParamType) and not self.descriptor.is_repeated:
            return click.Option([self.key, f"--{self.option}/--no-{self.option}"], default=None, help=help)
        required = " [required]" if self.is_required else ""
        return click.Option([self.key, *names], type=kind, multiple=self.descriptor.is_repeated, help=help + required)


def request_fields(rpc: Rpc) -> list[RequestField]:
    """The fields that options give: all but those in the path, and those that only answers have."""
    excluded = {*rpc.binding.variables}
    body = rpc.request.fields_by_name.get(rpc.binding.body)
    if rpc.method.client_streaming:
        # The lines of a file are its messages.
        if body is None:
            return []
        excluded |= {field.name for field in body.containing_oneof.fields} if body.containing_oneof else {body.name}
    elif rpc.content:
        excluded.add(rpc.content.name)
    elif rpc.binding.http_method == "PATCH" and body is not None:
        # The gateway makes the mask of the fields in the body.
        excluded |= {field.name for field in rpc.request.fields if field.message_type and field.message_type.full_name == FIELD_MASK}
    fields = [
        RequestField(path, field, option, _is_required(rpc, path, field))
        for path, field, option in _fields(rpc.request, (), (), rpc.binding.body, excluded, ())
    ]
    names = [*RESERVED, *(field.option for field in fields)]
    return [replace(field, option=_full_option(field)) if names.count(field.option) > 1 else field for field in fields]


def parameter_name(path: str) -> str:
    """The name of click's parameter for a field at a dotted path, which is no option's of the command line itself."""
    return "field_" + path.replace(".", "__")


def _is_required(rpc: Rpc, path: tuple[str, ...], field: FieldDescriptor) -> bool:
    """Whether a call needs the field: a change names what it changes, and a message that may be left out has no say."""
    is_outermost = len(path) == (2 if path[0] == rpc.binding.body else 1)
    return is_outermost and rpc.binding.http_method != "PATCH" and field_behavior_pb2.REQUIRED in behaviors(field)


def _full_option(field: RequestField) -> str:
    """Its name where another option has the short one."""
    return ".".join(("request", *field.path)).replace("_", "-")


def _fields(
    message: Descriptor, path: tuple[str, ...], option: tuple[str, ...], body: str, excluded: set[str], outer: tuple[Descriptor, ...]
) -> Iterator[tuple[tuple[str, ...], FieldDescriptor, str]]:
    for field in message.fields:
        names = (*path, field.name)
        if ".".join(names) in excluded or field_behavior_pb2.OUTPUT_ONLY in behaviors(field):
            continue
        kind = field.message_type
        is_nested = kind and not field.is_repeated and not kind.full_name.startswith(_GOOGLE) and kind not in outer
        words = option if not path and field.name == body and is_nested else (*option, field.name.replace("_", "-"))
        if is_nested and kind:
            yield from _fields(kind, names, words, body, excluded, (*outer, message))
        else:
            yield names, field, ".".join(words)


def value_type(field: FieldDescriptor) -> click.ParamType[Any]:
    """How the text of an option becomes a value of JSON."""
    kind = field.message_type
    if kind:
        if is_map(field):
            return KeyAndValue(kind)
        if kind.full_name in _WRAPPERS:
            return value_type(kind.fields_by_name["value"])
        return {f"{_GOOGLE}Timestamp": Time(), f"{_GOOGLE}Duration": Seconds(), FIELD_MASK: click.STRING}.get(kind.full_name) or JsonText(
            kind
        )
    if field.enum_type:
        return EnumName(short_names(field.enum_type))
    if field.type in _INTEGERS:
        return click.INT
    if field.type in _FLOATS:
        return click.FLOAT
    return click.BOOL if field.type == FieldDescriptor.TYPE_BOOL else click.STRING


class EnumName(click.Choice[str]):
    """A value of an enum by its short name."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        super().__init__([name.replace("_", "-") for name in names if name != "unspecified"], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return self._names[super().convert(str(value).replace("_", "-"), param, ctx).replace("-", "_")]


class Time(click.ParamType[str]):
    """A date or a time of ISO 8601, in UTC if it has no offset."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2011-12-09 or 2011-12-09T12:50:00Z", param, ctx)
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Seconds(click.ParamType[str]):
    """A duration in seconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?s?", value):
            self.fail(f"{value!r} is not a number of seconds such as 90 or 1.5", param, ctx)
        return f"{value.removesuffix('s')}s"


class JsonText(click.ParamType[Any]):
    """A message as JSON."""

    name = "json"

    def __init__(self, message: Descriptor) -> None:
        self._message = message

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"this is not JSON of a {self._message.name}: {error}", param, ctx)


class KeyAndValue(click.ParamType[tuple[str, Any]]):
    """An entry of a map."""

    name = "key=value"

    def __init__(self, entry: Descriptor) -> None:
        self._value = value_type(entry.fields_by_name["value"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        key, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r} has no `=` between key and value", param, ctx)
        return key, self._value.convert(text, param, ctx)
