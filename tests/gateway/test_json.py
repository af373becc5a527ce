"""The writer and the reader, compared with protobuf's own JSON."""

import struct
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from gateway.contract import Contract
from gateway.json_parser import parse_json
from gateway.malformed import MalformedRequest
from gateway.reader import message_filler
from gateway.writer import encoder
from tests.gateway.everything import PACKAGE, descriptors

F = FieldDescriptor


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return Contract(descriptors(tmp_path_factory.mktemp("descriptors")))


def messages(contract: Contract) -> Iterator[Descriptor]:
    """The types of all requests and responses, and of the messages in them."""
    found: dict[str, Descriptor] = {}
    todo = [kind for m in contract.methods for kind in (m.descriptor.input_type, m.descriptor.output_type)]
    while todo:
        kind = todo.pop()
        if kind.full_name not in found:
            found[kind.full_name] = kind
            todo += [field.message_type for field in kind.fields if field.message_type]
    return (kind for kind in found.values() if not kind.GetOptions().map_entry)


def test_any_message_is_written_as_protobuf_writes_it_and_unset_messages_as_null(contract: Contract) -> None:
    random = Random(7)  # noqa: S311 - the same messages every time
    for kind in messages(contract):
        write = encoder(kind)
        for _ in range(60):
            message = random_message(kind, random, contract.pool)
            ours = orjson.loads(write(message.SerializeToString()))
            expected = json_format.MessageToDict(
                message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True, descriptor_pool=contract.pool
            )
            assert ours == with_nulls(expected, ours), kind.full_name
            if kind.full_name.startswith("hashiramart."):
                assert list(ours) == [field.name for field in kind.fields if field.name in ours], kind.full_name


def test_what_was_written_is_read_as_the_same_message(contract: Contract) -> None:
    random = Random(8)  # noqa: S311 - the same messages every time
    for kind in messages(contract):
        fill, write, new = message_filler(kind), encoder(kind), GetMessageClass(kind)
        for _ in range(40):
            message = random_message(kind, random, contract.pool)
            camel_case = json_format.MessageToJson(message, descriptor_pool=contract.pool, ensure_ascii=random.random() < 0.5).encode()
            for text in (write(message.SerializeToString()), camel_case):
                ours, expected = new(), new()
                fill(ours, parse_json(text), 0)
                json_format.Parse(text, expected, ignore_unknown_fields=True, descriptor_pool=contract.pool)
                assert ours == expected, (kind.full_name, text)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("small", "7"), ("small", '"7"'), ("small", "7.0"), ("small", "7e2"), ("small", '"-2147483648"'), ("small", "1.5"),
        ("small", '"0x10"'), ("small", "2147483648"), ("small", "1e99999"), ("small", "true"), ("small", '""'), ("small", "[1]"),
        ("count", "-1"), ("count", "4294967295"), ("large", "9223372036854775807"), ("large", "9223372036854775808"),
        ("large_count", '"18446744073709551615"'), ("truth", "true"), ("truth", '"true"'), ("truth", "1"),
        ("number", "1e308"), ("number", "1e400"), ("number", '"NaN"'), ("number", '"-Infinity"'), ("number", '"nan"'), ("number", '"abc"'),
        ("short_number", "3.5"), ("short_number", "1e39"), ("kind", '"KIND_WEEK"'), ("kind", "2"), ("kind", "9"), ("kind", '"NO_SUCH"'),
        ("data", '"AQI="'), ("data", '"AQI"'), ("data", '"-_8="'), ("data", '"A"'), ("data", "1"),
        ("time", '"2011-12-09T12:50:00Z"'), ("time", '"2011-12-09T12:50:00.000000001+01:00"'), ("time", '"2011-02-30T00:00:00Z"'),
        ("time", '"yesterday"'), ("time", "5"), ("duration", '"1.5s"'), ("duration", '"1.5"'), ("duration", '"400000000000s"'),
        ("struct", '{"a": [1, null, {"b": true}]}'), ("struct", "[]"), ("value", "null"), ("value", '"text"'), ("list", "[1, [2]]"),
        ("texts", '["a", "b"]'), ("texts", '["a", null]'), ("texts", '"a"'), ("inners", "[{}]"), ("inners", "[null]"),
        ("words", '{"a": "b"}'), ("words", '{"a": null}'), ("inners_by_number", '{"7": {}}'), ("inners_by_number", '{"x": {}}'),
        ("kinds_by_truth", '{"true": 1}'), ("kinds_by_truth", '{"yes": 1}'), ("large_value", '"5"'), ("large_value", "{}"),
        ("any", '{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "5s"}'), ("any", '{"@type": "x/no.such"}'),
        ("nothing", "null"), ("text", "null"), ("text", "7"), ("text", '"\\ud800"'),
    ],
)  # fmt: skip
def test_a_value_is_accepted_or_rejected_as_protobuf_does(contract: Contract, field: str, text: str) -> None:
    kind = contract.pool.FindMessageTypeByName(f"{PACKAGE}.Everything")
    body = f'{{"{field}": {text}}}'.encode()
    expected, ours = GetMessageClass(kind)(), GetMessageClass(kind)()
    try:
        json_format.Parse(body, expected, descriptor_pool=contract.pool)
    except (json_format.ParseError, UnicodeEncodeError):
        with pytest.raises(MalformedRequest):
            message_filler(kind)(ours, parse_json(body), 0)
    else:
        message_filler(kind)(ours, parse_json(body), 0)
        assert ours.SerializeToString() == expected.SerializeToString()


def random_message(kind: Descriptor, random: Random, pool: DescriptorPool, depth: int = 0) -> Any:
    """A message with random fields set to random values that JSON can express."""
    message: Any = GetMessageClass(kind)()
    if kind.full_name in SPECIAL:
        SPECIAL[kind.full_name](message, random, pool)
        return message
    for field in kind.fields:
        if random.random() < (0.3 if depth < 3 else 0.9):
            continue
        if field.is_repeated:
            fill_repeated(message, field, random, pool, depth)
        elif field.message_type:
            getattr(message, field.name).CopyFrom(random_message(field.message_type, random, pool, depth + 1))
        else:
            setattr(message, field.name, random_scalar(field, random))
    return message


def fill_repeated(message: Any, field: FieldDescriptor, random: Random, pool: DescriptorPool, depth: int) -> None:
    target, kind = getattr(message, field.name), field.message_type
    for _ in range(random.randrange(4)):
        if kind and kind.GetOptions().map_entry:
            key, value = random_scalar(kind.fields_by_name["key"], random), kind.fields_by_name["value"]
            if value.message_type:
                target[key].CopyFrom(random_message(value.message_type, random, pool, depth + 1))
            else:
                target[key] = random_scalar(value, random)
        elif kind:
            target.add().CopyFrom(random_message(kind, random, pool, depth + 1))
        else:
            target.append(random_scalar(field, random))


def random_scalar(field: FieldDescriptor, random: Random) -> Any:
    if field.enum_type:
        known = [value.number for value in field.enum_type.values]
        return random.choice(known if field.enum_type.full_name == "google.protobuf.NullValue" else [*known, 99])
    if field.type in (F.TYPE_STRING, F.TYPE_BYTES):
        text = "".join(random.choices('aZ09 ._-"\\/\n\t\x7f<é€😀', k=random.randrange(9)))
        return text if field.type == F.TYPE_STRING else text.encode()
    if field.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        number = random.choice([0.0, 1.0, -0.1, 1e-9, 1e20, 16777217.0, float("inf"), float("-inf"), random.uniform(-1e6, 1e6)])
        return number if field.type == F.TYPE_DOUBLE else struct.unpack("f", struct.pack("f", number))[0]
    if field.type == F.TYPE_BOOL:
        return random.random() < 0.5
    bits = 64 if field.type in (F.TYPE_INT64, F.TYPE_UINT64, F.TYPE_SINT64, F.TYPE_FIXED64, F.TYPE_SFIXED64) else 32
    signed = field.type not in (F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_FIXED32, F.TYPE_FIXED64)
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return random.choice([lowest, highest, 0, 7, random.randint(lowest, highest)])


def fill_time(message: Any, random: Random, _: DescriptorPool) -> None:
    message.seconds = random.choice([-62135596800, 253402300799, -1, random.randint(-(10**10), 10**10)])
    message.nanos = random.choice([0, 0, 1, 1000, 999_000_000, 123_456_000])


def fill_duration(message: Any, random: Random, _: DescriptorPool) -> None:
    message.FromNanoseconds(random.choice([0, 1, -1, 1_500_000_000, -(10**18), random.randint(-(10**15), 10**15)]))


def fill_mask(message: Any, random: Random, _: DescriptorPool) -> None:
    message.paths.extend(random.sample(["text", "inner.two_words", "a_b", "*"][:3], k=random.randrange(4)))


def fill_any(message: Any, random: Random, pool: DescriptorPool) -> None:
    if random.random() < 0.8:
        name = random.choice([f"{PACKAGE}.Inner", "google.protobuf.Duration", "google.protobuf.Int64Value", "google.rpc.ErrorInfo"])
        message.Pack(random_message(pool.FindMessageTypeByName(name), random, pool, 2))


def fill_value(message: Any, random: Random, pool: DescriptorPool) -> None:
    kind = random.choice(["null_value", "number_value", "string_value", "bool_value", "struct_value", "list_value"])
    if kind == "struct_value":
        message.struct_value.update({"a": 1, "b": [True, None, {"c": "é"}]})
    elif kind == "list_value":
        message.list_value.extend([1.5, "x", None])
    else:
        setattr(message, kind, {"null_value": 0, "number_value": 0.25, "string_value": "s", "bool_value": True}[kind])


def fill_struct(message: Any, random: Random, pool: DescriptorPool) -> None:
    fill_value(message.fields["key"], random, pool)


def fill_list(message: Any, random: Random, pool: DescriptorPool) -> None:
    fill_value(message.values.add(), random, pool)


SPECIAL = {
    "google.protobuf.Timestamp": fill_time,
    "google.protobuf.Duration": fill_duration,
    "google.protobuf.FieldMask": fill_mask,
    "google.protobuf.Any": fill_any,
    "google.protobuf.Value": fill_value,
    "google.protobuf.Struct": fill_struct,
    "google.protobuf.ListValue": fill_list,
}


def with_nulls(expected: Any, ours: Any) -> Any:
    """Protobuf's JSON, with null for each key that only ours has."""
    if isinstance(expected, dict) and isinstance(ours, dict):
        return {key: with_nulls(expected[key], value) if key in expected else None for key, value in ours.items()} | {
            key: value for key, value in expected.items() if key not in ours
        }
    if isinstance(expected, list) and isinstance(ours, list) and len(expected) == len(ours):
        return [with_nulls(one, other) for one, other in zip(expected, ours, strict=True)]
    return expected
