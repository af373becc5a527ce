"""The effort of reading a request, which grows no faster than the request."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from gateway.asgi import Event, Headers, Scope
from gateway.body import RequestBody
from gateway.contract import Contract
from gateway.exchange import Exchange
from gateway.json_parser import parse_json
from gateway.malformed import MalformedRequest
from gateway.parameters import MAX_PARAMETERS, QueryReader
from gateway.tokens import read_token
from mesh.client_address import nearest_untrusted, parse_address
from services.catalog.words import words
from tests.gateway.everything import PACKAGE


def read_keys(count: int) -> None:
    parse_json(b"{" + b",".join(b'"%d": 1' % number for number in range(count)) + b"}")


def read_key_twice_at_the_end(count: int) -> None:
    with suppress(MalformedRequest):
        parse_json(b"{" + b",".join(b'"%d": 1' % number for number in range(count)) + b', "0": 1}')


def read_line_in_pieces(count: int) -> None:
    pieces_left = count

    async def receive() -> Event:
        nonlocal pieces_left
        pieces_left -= 1
        return {"type": "http.request", "body": b"a" * 16, "more_body": pieces_left > 0}

    async def read() -> None:
        body = RequestBody({b"transfer-encoding": b"chunked"}, receive)
        assert [len(line) async for line in body.lines(10) if isinstance(line, bytes)] == [16 * count]

    asyncio.run(read())


def read_proxies(count: int) -> None:
    peer = parse_address("127.0.0.1")
    assert peer
    nearest_untrusted(peer, "127.0.0.1," * count, ())


def read_nested(count: int) -> None:
    with suppress(MalformedRequest):
        parse_json(b"[" * count)


def read_escapes(count: int) -> None:
    parse_json(b'"' + b"\\ud83d\\ude00" * count + b'"')


def read_long_token(count: int) -> None:
    # More than the gateway reads of a token in one call, so each is another.
    for number in range(count):
        read_token(b"Bearer %d." % number + b"e30." * 500)


def read_token_of_many_claims(count: int) -> None:
    claims = b64encode(b"{" + b",".join(b'"%d":1' % number for number in range(count)) + b"}")
    read_token(b"Bearer a." + claims + b".a")


def read_trace(count: int) -> None:
    exchange({b"traceparent": b"0" * count, b"x-request-id": b"a" * count, b"user-agent": b"\x80" * count}).metadata()


def read_timeout(count: int) -> None:
    with suppress(MalformedRequest):
        exchange({b"grpc-timeout": b"9" * count}).timeout()


def read_repeated_headers(count: int) -> None:
    scope = scope_of([(b"authorization", b"a")] * count)
    Exchange(scope, nothing, nothing, ()).check_headers()


def read_words_of_a_search(count: int) -> None:
    words("a1-\u00e9 " * count)


def exchange(headers: dict[bytes, bytes]) -> Exchange:
    return Exchange(scope_of(list(headers.items())), nothing, nothing, ())


def scope_of(headers: Headers) -> Scope:
    return {"method": "GET", "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1)}


async def nothing(*_: Any) -> Any:
    raise AssertionError("nothing is sent or received")


@pytest.mark.parametrize(
    ("read", "count"),
    [
        (read_keys, 10_000),
        (read_key_twice_at_the_end, 10_000),
        (read_nested, 50_000),
        (read_escapes, 20_000),
        (read_line_in_pieces, 16_000),
        (read_proxies, 10_000),
        (read_long_token, 200),
        (read_token_of_many_claims, 10_000),
        (read_trace, 16_000),
        (read_timeout, 16_000),
        (read_repeated_headers, 10_000),
        (read_words_of_a_search, 10_000),
    ],
)
def test_four_times_the_input_takes_about_four_times_the_work(read: Callable[[int], None], count: int) -> None:
    # Quadratic work would take sixteen times as much.
    assert seconds(read, 4 * count) < 9 * seconds(read, count) + 0.05


def seconds(read: Callable[[int], None], count: int) -> float:
    def once() -> float:
        began = time.process_time()
        read(count)
        return time.process_time() - began

    return min(once() for _ in range(2))


def test_a_query_may_have_many_parameters_but_not_any_number(contract: Contract) -> None:
    kind = contract.pool.FindMessageTypeByName(f"{PACKAGE}.Everything")
    message: Any = GetMessageClass(kind)()
    QueryReader(kind).fill(message, "&".join(["texts=a"] * MAX_PARAMETERS))
    assert len(message.texts) == MAX_PARAMETERS
    with pytest.raises(MalformedRequest):
        QueryReader(kind).fill(message, "&".join(["x=a"] * (MAX_PARAMETERS + 1)))
