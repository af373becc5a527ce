"""The bindings of the contracts, and valid requests of every shape for each."""

import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

from google.api import annotations_pb2
from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.contract import fields_on_path
from tests.contract import contracts
from tests.gateway.referee import Request

# How many valid requests a binding is tried with.
VALID_REQUESTS = 100 if "FUZZ_EXAMPLES" in os.environ else 10


class Binding(NamedTuple):
    """An HTTP rule of a method. `body` is the field that the body fills, `*` for the whole request, empty for none."""

    method: MethodDescriptor
    http_method: str
    path: str
    body: str

    @property
    def name(self) -> str:
        return f"{self.http_method} {self.path}"

    @property
    def variables(self) -> list[str]:
        """The fields that the path fills."""
        return [part.partition("}")[0] for part in self.path.split("{")[1:]]


def bindings() -> list[Binding]:
    """The bindings of all services of the contracts."""
    found: list[Binding] = []
    for element in contracts.services():
        # Importing the referee has imported all contracts.
        for method in descriptor_pool.Default().FindServiceByName(element.name).methods:
            rule = method.GetOptions().Extensions[annotations_pb2.http]
            for each in (rule, *rule.additional_bindings):
                if verb := each.WhichOneof("pattern"):
                    found.append(Binding(method, verb.upper(), getattr(each, verb), each.body))
    return found


def is_unary(binding: Binding) -> bool:
    return not (binding.method.client_streaming or binding.method.server_streaming)


def takes_content(binding: Binding) -> bool:
    """Whether the body is the content of a field of bytes."""
    field = binding.method.input_type.fields_by_name.get(binding.body)
    return field is not None and field.type == FieldDescriptor.TYPE_BYTES


TEXTS = ("", "a", "0", "true", "T-light & heart", "a,b", "50% off+more", "é ∂ 🕯️", '"quoted" \\ /', "line\n\ttab", "\x7f\x80", "x" * 300)
IDENTIFIERS = ("85123A", "a", "0", "-", "a.b_c-d", "two words", "50%", "1+1", "é🕯️", "a:b", "~!@$&'()*,;=")
INT64 = (0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63))
INT32 = (0, 1, -1, 7, 2**31 - 1, -(2**31))
DOUBLES = (0.0, -0.0, 1.0, -1.5, 0.1, 1e-7, 123456789.125, 1e21, 1.7976931348623157e308, 5e-324, float("nan"), float("inf"), float("-inf"))
NANOS = (0, 0, 5_000_000, 123_000, 120_000_000, 999_999_999, 1)


def message(descriptor: Descriptor, random: Random) -> Message:
    """A message with random values of every type, half of them edge cases."""
    made = GetMessageClass(descriptor)()
    if isinstance(made, Timestamp):
        made.seconds, made.nanos = random.randint(-62_135_596_800, 253_402_300_799), random.choice(NANOS)
        return made
    if isinstance(made, FieldMask):
        made.paths.extend(random.sample(("name", "price_cents", "category", "product.stock"), random.randint(0, 3)))
        return made
    for field in descriptor.fields:
        # The gateway itself fills the status of a line that it could not read.
        if random.random() < 0.3 or (field.message_type and field.message_type.full_name == "google.rpc.Status"):
            continue
        if field.is_repeated:
            if field.message_type and field.message_type.GetOptions().map_entry:
                value = field.message_type.fields_by_name["value"]
                getattr(made, field.name).update({random.choice(TEXTS): scalar(value, random) for _ in range(random.randint(0, 3))})
            elif field.message_type:
                getattr(made, field.name).extend(message(field.message_type, random) for _ in range(random.randint(0, 3)))
            else:
                getattr(made, field.name).extend(scalar(field, random) for _ in range(random.randint(0, 3)))
        elif field.message_type:
            getattr(made, field.name).CopyFrom(message(field.message_type, random))
        else:
            setattr(made, field.name, scalar(field, random))
    return made


def scalar(field: FieldDescriptor, random: Random) -> Any:
    if field.enum_type:
        return random.choice(field.enum_type.values).number
    choices: dict[int, tuple[Any, ...]] = {
        FieldDescriptor.TYPE_STRING: TEXTS,
        FieldDescriptor.TYPE_INT32: INT32,
        FieldDescriptor.TYPE_INT64: INT64,
        FieldDescriptor.TYPE_DOUBLE: DOUBLES,
        FieldDescriptor.TYPE_BOOL: (True, False),
    }
    return random.choice(choices[field.type])


def valid_request(binding: Binding, random: Random) -> Request:
    """A valid request with a random message, in one of the ways to write it."""
    made = message(binding.method.input_type, random)
    path = binding.path
    for variable in binding.variables:
        enum = field_at(binding.method.input_type, variable).enum_type
        path = path.replace(f"{{{variable}}}", quote(random.choice(enum_texts(enum) if enum else IDENTIFIERS), safe=""))
        clear(made, variable)
    body: bytes | None = None
    if binding.body:
        content = made if binding.body == "*" else getattr(made, binding.body)
        body = body_of(content, random)
        made.Clear() if binding.body == "*" else made.ClearField(binding.body)
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in parameters(made, random))
    return Request(binding.http_method, f"{path}?{query}" if query else path, body)


def field_at(message: Descriptor, field_path: str) -> FieldDescriptor:
    """The field that a dotted path leads to."""
    return fields_on_path(message, field_path)[-1]


def enum_texts(enum: EnumDescriptor) -> list[str]:
    """The values of an enum as a path may have them: names, then numbers."""
    return [value.name for value in enum.values] + [str(value.number) for value in enum.values]


def clear(made: Message, field_path: str) -> None:
    *outer, last = field_path.split(".")
    for name in outer:
        made = getattr(made, name)
    made.ClearField(last)


def body_of(content: Message, random: Random) -> bytes:
    names, numbers, defaults, ascii_only = (random.random() < 0.5 for _ in range(4))
    value = json_format.MessageToDict(
        content,
        preserving_proto_field_name=names,
        use_integers_for_enums=numbers,
        always_print_fields_with_no_presence=defaults,
    )
    return json.dumps(value, ensure_ascii=ascii_only, indent=random.choice((None, 2))).encode()


def parameters(made: Message, random: Random, outer: str = "") -> Iterator[tuple[str, str]]:
    """A message as the parameters of a query."""
    for field, value in made.ListFields():
        name = outer + (field.name if random.random() < 0.5 else field.json_name)
        if isinstance(value, FieldMask) and not value.paths:
            continue  # grpc-gateway reads an empty string as a mask of one empty path.
        if field.message_type and field.is_repeated:
            continue  # A query has no place for a list of messages.
        if field.message_type and not isinstance(value, (Timestamp, FieldMask)):
            yield from parameters(value, random, f"{name}.")
        else:
            for each in value if field.is_repeated else [value]:
                yield name, text_of(field, each, random)


def text_of(field: FieldDescriptor, value: Any, random: Random) -> str:
    if isinstance(value, FieldMask):
        return ",".join(value.paths)
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if field.enum_type and random.random() < 0.5:
        return field.enum_type.values_by_number[value].name
    if isinstance(value, bool):
        return random.choice(("true", "TRUE", "True", "t", "T", "1") if value else ("false", "FALSE", "False", "f", "F", "0"))
    # Infinity and NaN as JSON spells them.
    return json.dumps(value) if isinstance(value, float) else str(value)


def plain_path(binding: Binding) -> str:
    path = binding.path
    for variable in binding.variables:
        enum = field_at(binding.method.input_type, variable).enum_type
        path = path.replace(f"{{{variable}}}", enum.values[1].name if enum else "85123A")
    return path
