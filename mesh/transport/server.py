"""A gRPC server: it listens, hands calls to their methods, and stops without losing one."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

import grpc.aio

from mesh.transport.addresses import listening_sockets
from mesh.transport.connection import Http2Connection
from mesh.transport.header_blocks import Headers
from mesh.transport.limits import Limits
from mesh.transport.server_call import ServerCall

_AGE_JITTER = 0.1


class TransportServer(grpc.aio.Server):
    """Serves the handlers that are added to it, as `grpc.aio.server` does.

    max_message_bytes: of a message, received or sent
    max_age_seconds: after which a connection is closed, once its calls have ended
    max_response_bytes: of a message sent, if that is another limit
    """

    def __init__(
        self, max_message_bytes: int, max_age_seconds: float, limits: Limits | None = None, max_response_bytes: int | None = None
    ) -> None:
        self.max_message_bytes = max_message_bytes
        self.max_response_bytes = max_message_bytes if max_response_bytes is None else max_response_bytes
        self.limits = limits or Limits()
        self.max_age_seconds = max_age_seconds
        self.methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self.connections: set[ClientSession] = set()
        self._listeners: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self._servers: list[asyncio.Server] = []
        self._stopped = asyncio.Event()

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Called by generated code with the same handlers again; the registered ones are enough."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        for name, handler in method_handlers.items():
            self.methods[f"/{service_name}/{name}"] = handler

    def add_insecure_port(self, address: str) -> int:
        """Will accept connections at `host:port`, and returns the port. Raises `OSError` if it is taken."""
        return self._add_port(address, None)

    def add_tls_port(self, address: str, context: ssl.SSLContext) -> int:
        """The same with TLS."""
        return self._add_port(address, context)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """grpcio's credentials cannot be read: `add_tls_port` takes a context of the standard library."""
        raise NotImplementedError("use add_tls_port")

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for listener, context in self._listeners:
            handshake_seconds = self.limits.handshake_seconds if context else None
            server = await loop.create_server(
                lambda: ClientSession(self), sock=listener, ssl=context, ssl_handshake_timeout=handshake_seconds
            )
            self._servers.append(server)

    async def stop(self, grace: float | None) -> None:
        """Accepts no more, waits for the calls under way, and cancels those that last longer than `grace` seconds."""
        for server in self._servers:
            server.close()
        for connection in tuple(self.connections):
            connection.drain()
        end = asyncio.get_running_loop().time() + (grace or 0)
        while self.connections and (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait([connection.lost for connection in self.connections], timeout=left)
        for connection in tuple(self.connections):
            connection.cancel_calls()
            connection.close()
        if self.connections:
            await asyncio.wait([connection.lost for connection in self.connections], timeout=1)
        self._stopped.set()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True

    def _add_port(self, address: str, context: ssl.SSLContext | None) -> int:
        sockets = listening_sockets(address)
        self._listeners += [(listener, context) for listener in sockets]
        port: int = sockets[0].getsockname()[1]
        return port


class ClientSession(Http2Connection):
    """A client's connection."""

    def __init__(self, server: TransportServer) -> None:
        super().__init__(server.limits, is_client=False)
        self.server = server
        self._max_age = server.max_age_seconds * (1 + random.uniform(-_AGE_JITTER, _AGE_JITTER))  # noqa: S311 no secret

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Here, and not before: a connection whose TLS handshake fails is not heard of again.
        self.server.connections.add(self)
        super().connection_made(transport)

    def request_received(self, stream_id: int, headers: Headers, ended: bool) -> None:
        call = ServerCall(self, stream_id, self.server.max_message_bytes, self.server.max_response_bytes)
        self.streams[stream_id] = call
        call.begin(headers, ended, self.server.methods)

    def cancel_calls(self) -> None:
        for stream in tuple(self.streams.values()):
            if isinstance(stream, ServerCall):
                stream.cancel()

    def on_tick(self, age: float) -> None:
        if age > self._max_age:
            self.drain()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.server.connections.discard(self)
