"""The effort of reading a request, which grows no faster than the request."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from gateway.asgi import Event
from gateway.body import RequestBody
from gateway.contract import Contract
from gateway.json_parser import parse_json
from gateway.malformed import MalformedRequest
from gateway.parameters import MAX_PARAMETERS, QueryReader
from mesh.client_address import nearest_untrusted, parse_address
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


@pytest.mark.parametrize(
    ("read", "count"), [(read_keys, 10_000), (read_key_twice_at_the_end, 10_000), (read_line_in_pieces, 16_000), (read_proxies, 10_000)]
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
