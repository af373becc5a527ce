"""Strict parsing of JSON: duplicate keys, NaN and Infinity are errors, and every number stays exact."""

import json
import re
from decimal import Decimal
from typing import Any

from gateway.malformed import MalformedRequest

# How deep a request may be nested, which is what the services' protobuf parsers accept.
MAX_DEPTH = 100
MAX_DIGITS = 400

_BLANKS = " \t\r\n"
_LEADING_BLANKS = re.compile(f"[{_BLANKS}]*")


def parse_json(data: bytes) -> Any:
    """The first JSON value of a body; an empty object if there is none. What follows the value is ignored, as grpc-gateway does.

    Whole numbers are int, others Decimal. Raises MalformedRequest.
    """
    return _parse(data)[0]


def parse_json_line(data: bytes) -> Any:
    """The only JSON value of a line. Raises MalformedRequest."""
    value, rest = _parse(data)
    if rest:
        raise MalformedRequest("there is more than one JSON value on the line")
    return value


def _parse(data: bytes) -> tuple[Any, str]:
    """The first value, and the text after it."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"the body is not UTF-8 at byte {error.start + 1}", byte=str(error.start + 1)) from None
    start = _LEADING_BLANKS.match(text).end()  # type: ignore[union-attr]
    if start == len(text):
        return {}, ""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        problem = f"the body is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
        raise MalformedRequest(problem, character=str(error.pos + 1)) from None
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None
    return value, text[end:].strip(_BLANKS)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise MalformedRequest("duplicate key", key)
            seen.add(key)
    if not "".join(members).isascii():
        _check_keys(members)
    return members


def _check_keys(members: dict[str, Any]) -> None:
    for key in members:
        try:
            key.encode()
        except UnicodeEncodeError:
            raise MalformedRequest("half of a surrogate pair in a key is not a character") from None


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedRequest("a number has too many digits")
    return int(digits)


def _constant(name: str) -> Any:
    raise MalformedRequest(f'{name} is not a JSON number; write it as a string, "{name}"', value=name)


# Decimal keeps whole numbers beyond 2^53 exact that are written with a fraction or an exponent.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_int=_whole_number, parse_constant=_constant)
