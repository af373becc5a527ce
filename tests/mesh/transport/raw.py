"""A peer that speaks HTTP/2 frame by frame, also wrongly."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
REQUEST = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Echo/Unary"),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def error_code(self) -> int:
        """Of RST_STREAM and GOAWAY."""
        return int(struct.unpack_from(">I", self.payload, 4 if self.kind == GOAWAY else 0)[0])


def frame(kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def header_block(*fields: tuple[str, str]) -> bytes:
    """Fields without a dynamic table, so that blocks do not depend on each other."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    block: bytes = encoder.encode([hpack.NeverIndexedHeaderTuple(name, value) for name, value in fields])
    return block


def request(stream_id: int, *more: tuple[str, str], message: bytes | None = b"hello", fields: Iterable[tuple[str, str]] = REQUEST) -> bytes:
    """The frames of a call; without a message, its header alone."""
    head = frame(HEADERS, END_HEADERS, stream_id, header_block(*fields, *more))
    if message is None:
        return head
    return head + frame(DATA, END_STREAM, stream_id, b"\0" + len(message).to_bytes(4, "big") + message)


class RawPeer:
    """The other end of a connection. Answers nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder = hpack.Decoder()

    async def send(self, *frames: bytes) -> None:
        """Sends what the other end still takes."""
        try:
            self._writer.write(b"".join(frames))
            await self._writer.drain()
        except ConnectionError:
            pass

    async def read(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        try:
            head = await self._reader.readexactly(9)
            payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return Frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    async def find(self, *kinds: int) -> Frame | None:
        """The next frame of one of these kinds; None if the connection ends before."""
        async with asyncio.timeout(20):
            while (found := await self.read()) and found.kind not in kinds:
                pass
        return found

    async def status(self) -> tuple[str, str]:
        """The status of the next call that ends, with its message."""
        while found := await self.find(HEADERS):
            fields = {str(name): str(value) for name, value in self._decoder.decode(found.payload)}
            if "grpc-status" in fields:
                return fields["grpc-status"], fields.get("grpc-message", "")
        raise ConnectionError("the connection has ended")

    async def is_closed(self) -> bool:
        """Waits for the end of the connection."""
        return await self.find() is None

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def raw_client(port: int, *, handshake: bool = True) -> AsyncIterator[RawPeer]:
    """A client of a server."""
    peer = RawPeer(*await asyncio.open_connection("127.0.0.1", port))
    if handshake:
        await peer.send(PREFACE, frame(SETTINGS), frame(SETTINGS, ACK))
    try:
        yield peer
    finally:
        await peer.close()


@asynccontextmanager
async def raw_server(*answer: bytes) -> AsyncIterator[int]:
    """The port of a server that sends these frames when the first request has come."""

    serving = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            serving.add(task)
        peer = RawPeer(reader, writer)
        try:
            await reader.readexactly(len(PREFACE))
            await peer.send(frame(SETTINGS), frame(SETTINGS, ACK))
            await peer.find(DATA)
            await peer.send(*answer)
            await peer.is_closed()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The client has gone again.
        finally:
            await peer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
