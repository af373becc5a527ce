"""Requests with values that may be invalid, for every binding of the contracts."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from tests.gateway.corpus import Binding, bindings, is_unary, plain_path, takes_content
from tests.gateway.referee import Request

# How many odd values a field is tried with, which with the other fields of its type make all of them; by `make fuzz`, each field with all.
ODD_VALUES = 1_000 if "FUZZ_EXAMPLES" in os.environ else 10
# JSON values to try in place of a value of any type.
ODD_JSON = (
    *("null", "true", "false", "0", "-0", "7", "7.0", "1.5", "1e2", "1E400", "1e-1", "-1", "2147483647", "2147483648", "-2147483649"),
    *(
        "9007199254740993",
        "1" + "0" * 400,
        '""',
        '" "',
        '"7"',
        '"-7"',
        '"+7"',
        '"07"',
        '" 7"',
        '"7 "',
        '"7.0"',
        '"7.5"',
        '"1e2"',
        '"0x10"',
        '"yes"',
    ),
    *(
        '"true"',
        '"NaN"',
        '"Infinity"',
        '"-Infinity"',
        '"nan"',
        "NaN",
        "Infinity",
        "07",
        "+7",
        ".5",
        "5.",
        "0x10",
        "tru",
        "'a'",
        '"a',
        "[]",
        "{}",
    ),
    *("[null]", "[[]]", "[{}]", '[""]', "[0]", '["a", 1]', '{"a": 1}', '"a"', '"\\ud83d\\ude00"', '"\\/"', '"\\x"', '"\n"', '"a\\u0001"'),
    *('"2009-12-01T07:45:00Z"', '"2009-12-01T07:45:00.5+02:00"', '"2009-12-01t07:45:00z"', '"2009-12-01"', '"2009-12-01T07:45:00"'),
    *(
        '"2009-13-01T00:00:00Z"',
        '"2009-02-30T00:00:00Z"',
        '"0000-01-01T00:00:00Z"',
        '"9999-12-31T23:59:59.999999999Z"',
        '"2009-12-01T07:45:60Z"',
    ),
    *(
        '"2009-12-01T24:00:00Z"',
        '"2009-12-01T07:45:00.1234567890Z"',
        '"2009-12-01T07:45:00,5Z"',
        '"2009-12-01T07:45:00+25:00"',
        '"0001-01-01T00:00:00+01:00"',
    ),
)
# The same for a query, percent-encoded.
ODD_TEXTS = (
    *(
        "",
        "0",
        "7",
        "-7",
        "%2B7",
        "07",
        "0x10",
        "0b1",
        "0o7",
        "1_000",
        "7.0",
        "7.5",
        "1e2",
        "2147483648",
        "-2147483649",
        "%207",
        "7%20",
        "yes",
        "no",
        "on",
    ),
    *(
        "true",
        "TRUE",
        "tRUE",
        "t",
        "f",
        "null",
        "NaN",
        "a",
        "%00",
        "%E9",
        "%zz",
        "%",
        "%C3%A9",
        "a+b",
        "a%2Bb",
        "a=b",
        "a%26b",
        "%F0%9F%95%AF",
        "[]",
        "{}",
        "%22a%22",
    ),
    *("2009-12-01T07:45:00Z", "2009-12-01", "a,b", "7,8", ","),
)


class Odd(NamedTuple):
    """A request with one value that may be invalid: the type of its place, and the value as written."""

    request: Request
    kind: str
    text: str


def odd_bodies(binding: Binding) -> Iterator[Odd]:
    """Odd values as the whole body, and as each field of it alone."""
    path = plain_path(binding)
    for place in _body_places(binding):
        for text in _share(place, ODD_JSON, "body"):
            body = f'{{"{place.field}": {text}}}' if place.field else text
            yield Odd(Request(binding.http_method, path, body.encode()), place.kind, text)


def odd_queries(binding: Binding) -> Iterator[Odd]:
    """Odd strings as each field that a query fills, alone and repeated."""
    path = plain_path(binding)
    for place in _query_places(binding):
        for text in _share(place, ODD_TEXTS, "query"):
            yield Odd(Request(binding.http_method, f"{path}?{place.field}={text}"), place.kind, text)
        for twice in (f"{place.field}=1&{place.field}=1", f"{place.field}=1&{place.json_name}=1"):
            yield Odd(Request(binding.http_method, f"{path}?{twice}"), place.kind, twice)


class Place(NamedTuple):
    """Where an odd value can stand: a field in the body or the query of a binding, or the whole body, with no field."""

    binding: str
    kind: str
    field: str = ""
    json_name: str = ""


def _body_places(binding: Binding) -> Iterator[Place]:
    """The whole body, and each field of it."""
    if not binding.body:
        return
    yield Place(binding.name, "body")
    request = binding.method.input_type
    content = request if binding.body == "*" else request.fields_by_name[binding.body].message_type
    for field in content.fields if content else ():
        # Of a field in the path, the path wins.
        if field.name not in binding.variables:
            yield Place(binding.name, _kind_of(field), field.name)


def _query_places(binding: Binding) -> Iterator[Place]:
    """Each field that a query fills."""
    for field in binding.method.input_type.fields if binding.body != "*" else ():
        if field.name not in (binding.body, *binding.variables):
            yield Place(binding.name, _kind_of(field), field.name, field.json_name)


def _share(place: Place, texts: Sequence[str], part: str) -> Iterator[str]:
    """A place's share of the texts. All places of its type in this part of the requests have each text at least twice, if there are two.

    A value is read by the type of its field alone, so that all values in all fields would be tried a hundred times over.
    """
    peers = _peers(part)[place.kind]
    size = min(len(texts), max(ODD_VALUES, -(-2 * len(texts) // len(peers))))
    first = peers.index(place) * size
    return (texts[number % len(texts)] for number in range(first, first + size))


@cache
def _peers(part: str) -> dict[str, list[Place]]:
    """The places in the bodies or the queries of all unary bindings whose body is JSON, by their types."""
    places = {"body": _body_places, "query": _query_places}[part]
    found: dict[str, list[Place]] = defaultdict(list)
    for binding in bindings():
        if is_unary(binding) and not takes_content(binding):
            for place in places(binding):
                found[place.kind].append(place)
    return found


def _kind_of(field: FieldDescriptor) -> str:
    """The type of a field, such as `int32`, `enum`, `repeated string` or `google.protobuf.Timestamp`."""
    name = field.message_type.full_name if field.message_type else _TYPES[field.type]
    return f"repeated {name}" if field.is_repeated else name


_TYPES = {value.number: value.name.removeprefix("TYPE_").lower() for value in FieldDescriptorProto.Type.DESCRIPTOR.values}
