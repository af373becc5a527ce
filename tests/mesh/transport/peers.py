"""Servers and channels of either transport, of a service that says back what it is sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from mesh.transport.channel import Channel, ChannelOptions
from mesh.transport.limits import Limits
from mesh.transport.server import TransportServer

SERVICE = "test.Echo"
MAX_BYTES = 1024 * 1024
TRANSPORTS = ("native", "grpcio")


class Echo:
    """Its methods take and return bytes; what a message says decides what happens."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = asyncio.Event()
        self.sent = 0
        self.metadata: dict[str, Any] = {}
        self.remaining: float | None = None

    async def unary(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.begun += 1
        self.metadata = dict(context.invocation_metadata() or ())
        self.remaining = context.time_remaining()
        context.set_trailing_metadata((("x-trailing", "end"), ("x-raw-bin", b"\x00\xff")))
        if request == b"wait":
            await self._wait()
        if request.startswith(b"fail "):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.removeprefix(b"fail ").decode(), (("x-why", "asked"),))
        if request == b"initial":
            await context.send_initial_metadata((("x-initial", "begin"),))
        if request == b"divide":
            raise ZeroDivisionError
        if request.startswith(b"size "):
            return b"x" * int(request.removeprefix(b"size "))
        return request

    async def responses(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        if request == b"endless":
            while True:
                yield b"x" * 32 * 1024
                self.sent += 1
        for number in range(int(request)):
            yield b"%d" % number
        if request == b"1":
            await self._wait()

    async def requests(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        received = []
        async for request in requests:
            received.append(request)
            if request == b"enough":
                break
        return b",".join(received)

    async def both(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def _wait(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
        behaviours: Any = self
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(behaviours.unary),
            "Responses": grpc.unary_stream_rpc_method_handler(behaviours.responses),
            "Requests": grpc.stream_unary_rpc_method_handler(behaviours.requests),
            "Both": grpc.stream_stream_rpc_method_handler(behaviours.both),
        }


@asynccontextmanager
async def serve(
    echo: Echo, transport: str = "native", limits: Limits | None = None, tls: ssl.SSLContext | None = None, max_age_seconds: float = 60
) -> AsyncIterator[tuple[grpc.aio.Server, int]]:
    """A server of the service, and its port."""
    server: grpc.aio.Server
    if transport == "native":
        native = TransportServer(MAX_BYTES, max_age_seconds, limits)
        port = native.add_tls_port("127.0.0.1:0", tls) if tls else native.add_insecure_port("127.0.0.1:0")
        server = native
    else:
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.max_send_message_length", MAX_BYTES)])
        port = server.add_insecure_port("127.0.0.1:0")
    server.add_registered_method_handlers(SERVICE, echo.handlers())
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(None)


def connect(target: int | str, transport: str = "native", **options: Any) -> grpc.aio.Channel:
    """A channel to a port or target."""
    address = f"127.0.0.1:{target}" if isinstance(target, int) else target
    if transport == "native":
        return Channel(address, ChannelOptions(max_message_bytes=MAX_BYTES, **options))
    return grpc.aio.insecure_channel(address, [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.max_send_message_length", MAX_BYTES)])


def method(channel: grpc.aio.Channel, name: str) -> Any:
    """A method of the service, by its name: `Unary`, `Responses`, `Requests`, `Both`."""
    kinds: dict[str, Any] = {
        "Unary": channel.unary_unary,
        "Responses": channel.unary_stream,
        "Requests": channel.stream_unary,
        "Both": channel.stream_stream,
    }
    return kinds[name](f"/{SERVICE}/{name}")


def pairs() -> list[tuple[str, str]]:
    """Every client with every server, except grpcio with itself."""
    return [(client, server) for client in TRANSPORTS for server in TRANSPORTS if "native" in (client, server)]
