"""The server under test: `python -m tests.mesh.transport.conformance.server DESCRIPTORS TRANSPORT`, run by the suite."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop
from google.protobuf import any_pb2
from google.rpc import status_pb2

from mesh.transport.server import TransportServer
from tests.mesh.transport.conformance.contract import (
    SERVICE,
    frame,
    frame_size,
    headers_of,
    load_contract,
    message_class,
    metadata_pairs,
)

_DEFAULT_LIMIT = 4 * 1024 * 1024
_STATUSES = {code.value[0]: code for code in grpc.StatusCode}


class ConformanceService:
    """Answers as its requests say, and tells what it has seen of them."""

    async def unary(self, request: Any, context: Any) -> Any:
        return message_class("UnaryResponse")(payload=await _single_payload(request, [request], context))

    async def client_stream(self, requests: AsyncIterator[Any], context: Any) -> Any:
        received = [request async for request in requests]
        first = received[0] if received else message_class("ClientStreamRequest")()
        return message_class("ClientStreamResponse")(payload=await _single_payload(first, received, context))

    async def server_stream(self, request: Any, context: Any) -> AsyncIterator[Any]:
        responses = _Responses(request, context)
        await responses.begin()
        responses.received.append(request)
        while responses.are_left:
            yield message_class("ServerStreamResponse")(payload=await responses.next_payload())
        await responses.end()

    async def bidi_stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        responses: _Responses | None = None
        response = message_class("BidiStreamResponse")
        async for request in requests:
            if responses is None:
                responses = _Responses(request, context)
                await responses.begin()
            responses.received.append(request)
            if responses.first.full_duplex:
                if not responses.are_left:
                    break
                yield response(payload=await responses.next_payload())
        if responses:
            while responses.are_left:
                yield response(payload=await responses.next_payload())
            await responses.end()

    def handlers(self) -> dict[str, Any]:
        def handler(make: Any, behaviour: Any, name: str) -> Any:
            return make(behaviour, message_class(f"{name}Request").FromString, message_class(f"{name}Response").SerializeToString)

        return {
            "Unary": handler(grpc.unary_unary_rpc_method_handler, self.unary, "Unary"),
            "ClientStream": handler(grpc.stream_unary_rpc_method_handler, self.client_stream, "ClientStream"),
            "ServerStream": handler(grpc.unary_stream_rpc_method_handler, self.server_stream, "ServerStream"),
            "BidiStream": handler(grpc.stream_stream_rpc_method_handler, self.bidi_stream, "BidiStream"),
        }


class _Responses:
    """The responses that the first request of a stream asks for."""

    def __init__(self, first: Any, context: Any) -> None:
        self.first = first
        self.received: list[Any] = []
        """The requests since the last response that told of them."""
        self._definition = first.response_definition
        self._context = context
        self._sent = 0

    @property
    def are_left(self) -> bool:
        return self._sent < len(self._definition.response_data)

    async def begin(self) -> None:
        """Sends the header."""
        if self.first.HasField("response_definition"):
            await _send_headers(self._definition, self._context)

    async def next_payload(self) -> Any:
        info = None
        if not self._sent:
            info = _request_info(self._context, self.received)
        elif self.received:
            info = message_class("ConformancePayload.RequestInfo")(requests=_packed(self.received))
        self.received = []
        await asyncio.sleep(self._definition.response_delay_ms / 1000)
        data = self._definition.response_data[self._sent]
        self._sent += 1
        return message_class("ConformancePayload")(data=data, request_info=info)

    async def end(self) -> None:
        """Fails the call if that is asked for."""
        if self._definition.HasField("error"):
            info = None if self._sent else _request_info(self._context, self.received)
            await _abort(self._definition, info, self._context)


async def _single_payload(first: Any, received: list[Any], context: Any) -> Any:
    """The payload of the only response."""
    info, definition = _request_info(context, received), first.response_definition
    if first.HasField("response_definition"):
        await _send_headers(definition, context)
        await asyncio.sleep(definition.response_delay_ms / 1000)
        if definition.HasField("error"):
            await _abort(definition, info, context)
    return message_class("ConformancePayload")(data=definition.response_data, request_info=info)


async def _send_headers(definition: Any, context: Any) -> None:
    context.set_trailing_metadata(tuple(metadata_pairs(definition.response_trailers)))
    await context.send_initial_metadata(tuple(metadata_pairs(definition.response_headers)))


async def _abort(definition: Any, info: Any, context: Any) -> None:
    error = definition.error
    details = [*error.details, *(_packed([info]) if info else ())]
    status = status_pb2.Status(code=error.code, message=error.message, details=details)
    trailing = (*metadata_pairs(definition.response_trailers), ("grpc-status-details-bin", status.SerializeToString()))
    await context.abort(_STATUSES[error.code], error.message, trailing)


def _request_info(context: Any, received: list[Any]) -> Any:
    headers = headers_of(context.invocation_metadata() or ())
    info = message_class("ConformancePayload.RequestInfo")(request_headers=headers, requests=_packed(received))
    if (remaining := context.time_remaining()) is not None:
        info.timeout_ms = int(remaining * 1000)
    return info


def _packed(received: list[Any]) -> list[any_pb2.Any]:
    return [any_pb2.Any(type_url=f"type.googleapis.com/{each.DESCRIPTOR.full_name}", value=each.SerializeToString()) for each in received]


def _open(request: Any, transport: str) -> tuple[grpc.aio.Server, int]:
    """A server as the suite asks for it, and its port."""
    limit, address = request.message_receive_limit or _DEFAULT_LIMIT, "127.0.0.1:0"
    # Responses repeat the requests, and so may be larger than what the suite allows those to be.
    if transport == "native":
        native = TransportServer(limit, max_age_seconds=3_600, max_response_bytes=_DEFAULT_LIMIT)
        return native, native.add_tls_port(address, _context(request)) if request.use_tls else native.add_insecure_port(address)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", limit)])
    if not request.use_tls:
        return server, server.add_insecure_port(address)
    pair = (request.server_creds.key, request.server_creds.cert)
    credentials = grpc.ssl_server_credentials([pair], request.client_tls_cert or None, bool(request.client_tls_cert))
    return server, server.add_secure_port(address, credentials)


def _context(request: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=request.client_tls_cert.decode() or None)
    with tempfile.NamedTemporaryFile() as file:
        file.write(request.server_creds.key + b"\n" + request.server_creds.cert)
        file.flush()
        context.load_cert_chain(file.name)
    context.set_alpn_protocols(["h2"])
    if request.client_tls_cert:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def main(descriptors: Path, transport: str) -> None:
    load_contract(descriptors)
    pipe = sys.stdin.buffer
    request = message_class("ServerCompatRequest").FromString(pipe.read(frame_size(pipe.read(4))))
    server, port = _open(request, transport)
    server.add_registered_method_handlers(SERVICE, ConformanceService().handlers())
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    response = message_class("ServerCompatResponse")(host="127.0.0.1", port=port, pem_cert=request.server_creds.cert)
    sys.stdout.buffer.write(frame(response))
    sys.stdout.buffer.flush()
    await stop.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2]))
