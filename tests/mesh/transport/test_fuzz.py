"""Bytes that make no sense, between the socket and the call: nothing but an end of the connection or of the call may come of them."""

from __future__ import annotations

import asyncio
import gzip
import os
import struct
from contextlib import suppress

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from mesh.transport.attempt import CallAttempt, CallOutcome
from mesh.transport.connection import Http2Connection
from mesh.transport.header_blocks import HeaderBlocks, fields
from mesh.transport.limits import Limits
from mesh.transport.messages import CallFailure, Inbox, decode_details, decode_metadata, decode_timeout, encode_details
from mesh.transport.server import ClientSession, TransportServer
from tests.mesh.transport.peers import MAX_BYTES, SERVICE, Echo
from tests.mesh.transport.raw import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, frame, header_block, request

# `make conformance` asks for more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))

kinds = st.integers(0, 12)
flags = st.sampled_from([0, 1, 4, 5, 8, 9, 0x20, 0x2D, 0xFF])
streams = st.sampled_from([0, 1, 2, 3, 5, 0x7FFFFFFF])
payloads = st.one_of(
    st.binary(max_size=64),
    st.integers(0, 2**32 - 1).map(lambda number: struct.pack(">I", number)),
    st.tuples(st.integers(0, 8), st.integers(0, 2**32 - 1)).map(lambda setting: struct.pack(">HI", *setting)),
    st.lists(
        st.tuples(
            st.sampled_from([":method", ":path", "grpc-timeout", "content-type", "grpc-encoding", "grpc-status", "x-bin", "x"]),
            st.sampled_from(["POST", f"/{SERVICE}/Both", "1m", "application/grpc", "gzip", "0", "?", " "]),
        ),
        max_size=6,
    ).map(lambda pairs: header_block(*pairs)),
    st.just(header_block(("grpc-status", "0"))),
    st.binary(max_size=32).map(gzip.compress).map(lambda body: b"\1" + len(body).to_bytes(4, "big") + body),
    st.binary(max_size=32).map(lambda body: b"\0" + len(body).to_bytes(4, "big") + body),
)
frames = st.builds(frame, kinds, flags, streams, payloads)
responses = st.builds(
    lambda data: (
        frame(HEADERS, END_HEADERS, 1, header_block((":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")))
        + frame(DATA, 0, 1, data)
    ),
    payloads,
)
conversations = st.lists(
    st.one_of(frames, st.just(request(1)), st.just(request(3, message=None)), responses, st.binary(max_size=40)), max_size=12
)


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads it."""

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


async def converse(connection: Http2Connection, data: bytes, size: int) -> None:
    """Hands bytes to a connection in pieces, and ends it. An exception in a callback fails the test."""
    loop, problems = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _loop, context: problems.append(context))
    wire = Wire()
    connection.connection_made(wire)
    for begin in range(0, len(data), size):
        if wire.closed:
            break
        connection.data_received(data[begin : begin + size])
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not connection.streams
    assert not problems


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=conversations, size=st.sampled_from([1, 7, 64, 100_000]))
def test_a_server_survives_any_frames(parts: list[bytes], size: int) -> None:
    async def run() -> None:
        server = TransportServer(MAX_BYTES, 60)
        server.add_registered_method_handlers(SERVICE, Echo().handlers())
        await converse(ClientSession(server), PREFACE + frame(SETTINGS) + b"".join(parts), size)

    asyncio.run(run())


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=conversations, size=st.sampled_from([1, 7, 64, 100_000]))
def test_a_client_survives_any_frames(parts: list[bytes], size: int) -> None:
    outcomes: list[CallOutcome] = []
    attempts: list[CallAttempt] = []

    def begin(connection: Http2Connection) -> None:
        headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/x"), (b":authority", b"x")]
        with suppress(ConnectionError):  # The peer may have ended the connection already.
            attempts.append(CallAttempt(connection, headers, MAX_BYTES, lambda: None, outcomes.append))

    async def run() -> None:
        connection = Http2Connection(Limits(), is_client=True)
        asyncio.get_running_loop().call_soon(begin, connection)
        await converse(connection, frame(SETTINGS) + b"".join(parts), size)

    asyncio.run(run())
    assert len(outcomes) == len(attempts)


@given(data=st.binary(max_size=200), size=st.integers(1, 200))
def test_the_header_blocks_of_any_bytes_can_be_looked_at(data: bytes, size: int) -> None:
    blocks = HeaderBlocks()
    for begin in range(0, len(data), size):
        blocks.feed(data[begin : begin + size])
    for stream_id in range(8):
        fields(blocks.pop(stream_id) or b"")


class Window:
    """A connection as far as an inbox needs it."""

    def acknowledge(self, stream_id: int, count: int) -> None: ...


@given(messages=st.lists(st.binary(max_size=50), max_size=8), size=st.integers(1, 60))
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages: list[bytes], size: int) -> None:
    data = b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)
    inbox = Inbox(Window(), 1, 100)  # type: ignore[arg-type]  # has all that is asked of it
    for begin in range(0, len(data), size):
        inbox.feed(data[begin : begin + size])
    inbox.end()
    assert [inbox.take() for _ in range(inbox.count)] == messages


@given(text=st.text())
def test_any_status_message_comes_back_and_is_a_valid_field(text: str) -> None:
    encoded = encode_details(text)
    assert encoded == encoded.strip() and encoded.isascii()
    assert decode_details(encoded) == text.encode(errors="replace").decode(errors="replace")


@given(value=st.binary(max_size=20))
def test_any_field_is_read_or_refused(value: bytes) -> None:
    decode_details(value)
    for read in (decode_timeout, lambda it: decode_metadata([(b"x-bin", it), (b"x", it)])):
        with suppress(CallFailure):
            read(value)
