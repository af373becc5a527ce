"""What strangers may send: floods, frames that break the rules, calls that are too large. Others are served all the while."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc.aio
import pytest

from mesh import certificates
from mesh.transport.limits import Limits
from mesh.transport.server import TransportServer
from tests.mesh.transport.peers import MAX_BYTES, Echo, connect, method, serve
from tests.mesh.transport.raw import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawPeer,
    frame,
    header_block,
    raw_client,
    raw_server,
    request,
)

CANCEL = struct.pack(">I", 8)
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 1, 3, 5, 6
HEAD = header_block(*(("x-filler", "y" * 100) for _ in range(100)))


@asynccontextmanager
async def stranger(limits: Limits | None = None, echo: Echo | None = None) -> AsyncIterator[RawPeer]:
    """A stranger to a server that serves another client until the end."""
    async with serve(echo or Echo(), limits=limits) as (_, port), connect(port) as channel, raw_client(port) as peer:
        assert await method(channel, "Unary")(b"x", timeout=10) == b"x"
        yield peer
        assert await method(channel, "Unary")(b"y", timeout=10) == b"y"


FLOODS: dict[str, Callable[[int], bytes]] = {
    "reset": lambda number: request(2 * number + 1, message=None) + frame(RST_STREAM, 0, 2 * number + 1, CANCEL),
    "settings": lambda number: frame(SETTINGS, payload=struct.pack(">HI", 4, 65_535)),
    "ping": lambda number: frame(PING, payload=struct.pack(">Q", number)),
    "empty data": lambda number: (request(1, message=None) if number == 0 else b"") + frame(DATA, 0, 1),
    "continuation": lambda number: (
        (frame(HEADERS, 0, 1, header_block((":method", "POST"))) if number == 0 else b"")
        + frame(CONTINUATION, 0, 1, header_block((f"x-{number}", "y")))
    ),
    "priority": lambda number: frame(2, 0, 2 * number + 1, struct.pack(">IB", 2 * number + 1, 1)),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_ends_its_connection(kind: str) -> None:
    async with stranger() as peer:

        async def flood() -> None:
            for begin in range(0, 20_000, 500):
                await peer.send(*(FLOODS[kind](number) for number in range(begin, begin + 500)))

        flooding = asyncio.create_task(flood())
        assert await peer.is_closed()
        flooding.cancel()


async def test_rapid_resets_start_no_handler() -> None:
    echo = Echo()
    async with stranger(echo=echo) as peer:
        await peer.send(*(FLOODS["reset"](number) for number in range(1_000)), request(2_001))
        assert await peer.status() == ("0", "")
    assert echo.begun == 3


async def test_a_compression_bomb_ends_its_connection() -> None:
    # One field of 4,000 bytes goes into the table, and one byte for each of 10,000 more expands it.
    first = bytes.fromhex("40") + b"\x01x" + b"\x7f\xa1\x1e" + b"y" * 4_000
    async with stranger() as peer:
        await peer.send(frame(HEADERS, END_HEADERS, 1, first + b"\xbe" * 10_000))
        assert await peer.is_closed()


async def test_too_much_metadata_is_refused_and_the_connection_goes_on() -> None:
    async with stranger() as peer:
        more = tuple((f"x-{number}", "~" * 1_000) for number in range(18))
        block = header_block(*REQUEST, *more)
        frames = [frame(HEADERS, END_STREAM, 1, block[:8_000]), frame(CONTINUATION, END_HEADERS, 1, block[8_000:])]
        await peer.send(*frames)
        assert (await peer.status())[0] == str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        await peer.send(request(3))
        assert (await peer.status())[0] == "0"


WRONG: dict[str, tuple[Sequence[bytes], int]] = {
    "window overflow": ([frame(WINDOW_UPDATE, payload=struct.pack(">I", 0x7FFFFFFF))], FLOW_CONTROL_ERROR),
    "window of zero": ([frame(WINDOW_UPDATE, payload=struct.pack(">I", 0))], PROTOCOL_ERROR),
    "initial window overflow": ([frame(SETTINGS, payload=struct.pack(">HI", 4, 0x80000000))], FLOW_CONTROL_ERROR),
    "frame too large": ([frame(DATA, 0, 1, b"x" * 16_385)], FRAME_SIZE_ERROR),
    "ping too small": ([frame(PING, payload=b"x")], FRAME_SIZE_ERROR),
    "settings on a stream": ([frame(SETTINGS, 0, 1)], PROTOCOL_ERROR),
    "data before a header": ([frame(DATA, 0, 1, b"x")], PROTOCOL_ERROR),
    "even stream": ([request(2)], PROTOCOL_ERROR),
    "header in between": ([frame(HEADERS, 0, 1, HEAD), frame(PING, payload=b"x" * 8)], PROTOCOL_ERROR),
    "header that cannot be read": ([frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff")], 9),
}


@pytest.mark.parametrize("case", WRONG)
async def test_frames_that_break_the_rules_end_their_connection(case: str) -> None:
    frames, error_code = WRONG[case]
    async with stranger() as peer:
        await peer.send(*frames)
        goodbye = await peer.find(GOAWAY)
        assert goodbye
        assert goodbye.error_code == error_code
        assert await peer.is_closed()


async def test_data_after_the_end_of_a_request_resets_the_stream() -> None:
    async with stranger() as peer:
        await peer.send(request(1, message=b"wait"), frame(DATA, 0, 1, b"more"))
        reset = await peer.find(RST_STREAM, GOAWAY)
        assert reset
        assert reset.error_code == STREAM_CLOSED


async def test_a_stream_whose_window_overflows_ends() -> None:
    async with stranger() as peer:
        await peer.send(request(1, message=b"wait"), *[frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 0x7FFFFFFF))] * 2)
        reset = await peer.find(RST_STREAM, GOAWAY)
        assert reset
        assert reset.error_code == FLOW_CONTROL_ERROR


async def test_a_stream_with_a_smaller_number_than_before_is_not_served() -> None:
    echo = Echo()
    async with stranger(echo=echo) as peer:
        await peer.send(request(5), request(3), request(7))
        ended = [await peer.find(HEADERS, GOAWAY) for _ in range(2)]
        assert echo.begun <= 3
        assert all(found and found.stream_id != 3 for found in ended)


async def test_a_content_length_that_is_wrong_resets_the_stream() -> None:
    async with stranger() as peer:
        await peer.send(request(1, ("content-length", "3")))
        reset = await peer.find(RST_STREAM)
        assert reset
        assert reset.error_code == PROTOCOL_ERROR


async def test_more_calls_at_once_than_allowed_end_the_connection() -> None:
    async with stranger(Limits(concurrent_streams=2)) as peer:
        await peer.send(*(request(number, message=b"wait") for number in (1, 3, 5)))
        # A peer that has acknowledged the limit breaks the rules.
        refused = await peer.find(RST_STREAM, GOAWAY)
        assert refused
        assert (refused.kind, refused.error_code) == (GOAWAY, PROTOCOL_ERROR)


async def test_a_request_that_is_not_grpc_gets_an_http_status() -> None:
    async with stranger() as peer:
        get = (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")
        await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, header_block(*get)))
        body = await peer.find(DATA)
        assert body
        assert (body.flags, body.payload[:21]) == (END_STREAM, b"This is a gRPC server")
        await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, header_block((":method", "HEAD"), *get[1:])))
        answer = await peer.find(HEADERS, DATA)
        assert answer
        assert (answer.kind, answer.flags) == (HEADERS, END_HEADERS | END_STREAM)


async def test_a_peer_that_does_not_begin_is_hung_up_on() -> None:
    async with serve(Echo(), limits=Limits(handshake_seconds=0.5)) as (_, port):
        async with raw_client(port, handshake=False) as silent:
            assert await silent.is_closed()
        async with raw_client(port, handshake=False) as unsettled:
            await unsettled.send(PREFACE, frame(SETTINGS))
            assert await unsettled.is_closed()
        async with raw_client(port, handshake=False) as other:
            await other.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert await other.is_closed()


async def test_a_failed_handshake_leaves_nothing_behind(tmp_path: Path) -> None:
    certificates.issue(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "catalog.crt", tmp_path / "catalog.key")
    context.set_alpn_protocols(["h2"])
    async with serve(Echo(), tls=context) as (server, port):
        assert isinstance(server, TransportServer)
        async with raw_client(port) as plain:
            assert await plain.is_closed()
        trusting = ssl.create_default_context(cafile=tmp_path / "ca.crt")
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
        # Without ALPN there is no HTTP/2.
        assert await reader.read() == b""
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while server.connections:
                await asyncio.sleep(0.01)


async def test_a_peer_that_answers_no_ping_is_given_up() -> None:
    echo = Echo()
    async with stranger(Limits(keepalive_seconds=0.5, keepalive_timeout_seconds=0.5), echo) as peer:
        await peer.send(request(1, message=b"wait"))
        assert await peer.find(PING)
        assert await peer.is_closed()
        await asyncio.wait_for(echo.cancelled.wait(), 5)


async def test_unfinished_messages_are_limited_together() -> None:
    async with stranger(Limits(buffer_bytes=40_000)) as peer:
        part = (MAX_BYTES).to_bytes(5, "big") + b"x" * 14_000
        await peer.send(*(request(number, message=None) + frame(DATA, 0, number, part) for number in (1, 3, 5)))
        assert (await peer.status())[0] == str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        # The others go on, and what the refused one held is free again.
        await peer.send(request(7))
        assert (await peer.status())[0] == "0"


async def test_a_message_announced_too_large_is_refused_before_it_comes() -> None:
    async with stranger() as peer:
        await peer.send(request(1, message=None), frame(DATA, 0, 1, b"\0\xff\xff\xff\xff"))
        assert (await peer.status())[0] == str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


async def test_a_message_that_grows_too_large_is_refused() -> None:
    async with stranger() as peer:
        bomb = gzip.compress(b"\0" * (MAX_BYTES * 8))
        data = b"\1" + len(bomb).to_bytes(4, "big") + bomb
        await peer.send(request(1, ("grpc-encoding", "gzip"), message=None), frame(DATA, END_STREAM, 1, data))
        assert (await peer.status())[0] == str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\1\0\0\0\1x", grpc.StatusCode.INTERNAL),
        (b"\0\0\0\0\5x", grpc.StatusCode.INTERNAL),
        (b"", grpc.StatusCode.UNIMPLEMENTED),
        (b"\0\0\0\0\0" * 2, grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_a_body_that_is_no_message_is_refused(data: bytes, code: grpc.StatusCode) -> None:
    async with stranger() as peer:
        await peer.send(request(1, message=None), frame(DATA, END_STREAM, 1, data))
        assert (await peer.status())[0] == str(code.value[0])


async def test_a_reader_that_takes_nothing_holds_little_memory() -> None:
    echo = Echo()
    fields = ((":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Responses"), (":authority", "x"))
    async with stranger(echo=echo) as peer:
        await peer.send(frame(WINDOW_UPDATE, payload=struct.pack(">I", 0x7FFF0000 - 65_535)))
        await peer.send(frame(SETTINGS, payload=struct.pack(">HI", 4, 0x7FFF0000)))
        await peer.send(request(1, message=b"endless", fields=(*fields, ("content-type", "application/grpc"))))
        before = -1
        while echo.sent != before:
            before = echo.sent
            await asyncio.sleep(0.3)
        # The buffers of the sockets, and what waits for them.
        assert echo.sent * 32 * 1024 < 32 * 1024 * 1024


@pytest.mark.parametrize("details", ["bad thing ", " ", "plain"])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_status_whose_message_ends_with_a_space_is_not_lost(details: str, begun: bool) -> None:
    """libnghttp2 refuses such a field, and gRPC allows it."""
    ok = ((":status", "200"), ("content-type", "application/grpc"))
    status = (("grpc-status", "5"), ("grpc-message", details), ("x-why", "asked"))
    head = frame(HEADERS, END_HEADERS, 1, header_block(*ok))
    if begun:
        answer = head + frame(DATA, 0, 1, b"\0\0\0\0\1x") + frame(HEADERS, END_HEADERS | END_STREAM, 1, header_block(*status))
    else:
        answer = frame(HEADERS, END_HEADERS | END_STREAM, 1, header_block(*ok, *status))
    # One byte at a time after the first: frames do not come whole.
    async with raw_server(answer[:20], answer[20:]) as port, connect(port) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await method(channel, "Unary")(b"", timeout=5)
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND
    assert failed.value.details() == details
    assert dict(failed.value.trailing_metadata())["x-why"] == "asked"


async def test_a_status_in_the_header_counts_only_at_the_end_of_the_stream() -> None:
    head = header_block((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "8"))
    end = header_block(("grpc-status", "9"))
    answer = frame(HEADERS, END_HEADERS, 1, head) + frame(HEADERS, END_HEADERS | END_STREAM, 1, end)
    async with raw_server(answer) as port, connect(port) as channel:
        assert await method(channel, "Unary")(b"", timeout=5).code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_messages_of_another_format_are_refused_on_both_ends() -> None:
    other = ("content-type", "application/grpc+json")
    async with stranger() as peer:
        await peer.send(request(1, fields=(*REQUEST[:-1], other)))
        assert await peer.status() == ("12", "the content type has to be application/grpc or application/grpc+proto")
        await peer.send(request(3, fields=(*REQUEST[:-1], ("content-type", "application/grpc+proto;v=1"))))
        assert (await peer.status())[0] == "0"
    answer = frame(HEADERS, END_HEADERS, 1, header_block((":status", "200"), other))
    async with raw_server(answer) as port, connect(port) as channel:
        call = method(channel, "Unary")(b"", timeout=5)
        assert await call.code() is grpc.StatusCode.UNKNOWN
        assert await call.details() == "the content type of the peer's response is not gRPC's, but 'application/grpc+json'"


async def test_a_lost_connection_is_unavailable() -> None:
    async with raw_server(frame(GOAWAY, payload=struct.pack(">II", 0, 11))) as port, connect(port) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as lost:
            await method(channel, "Unary")(b"", timeout=1)
    assert lost.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
