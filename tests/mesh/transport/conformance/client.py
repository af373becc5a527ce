"""The client under test: `python -m tests.mesh.transport.conformance.client DESCRIPTORS TRANSPORT`, run by the suite."""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop
from google.rpc import status_pb2

from mesh.transport.channel import Channel, ChannelOptions
from tests.mesh.transport.conformance.contract import (
    frame,
    frame_size,
    headers_of,
    load_contract,
    message_class,
    metadata_pairs,
)

_DEFAULT_LIMIT = 4 * 1024 * 1024
_CONNECT_SECONDS = 10
_PARALLEL = 16
_UNARY, _CLIENT_STREAM, _SERVER_STREAM, _HALF_DUPLEX, _FULL_DUPLEX = range(1, 6)


class ConformanceCall:
    """A call as the suite describes it, and what is seen of its responses."""

    def __init__(self, request: Any, channel: grpc.aio.Channel) -> None:
        kinds: dict[int, Any] = {
            _UNARY: channel.unary_unary,
            _CLIENT_STREAM: channel.stream_unary,
            _SERVER_STREAM: channel.unary_stream,
        }
        make = kinds.get(request.stream_type, channel.stream_stream)
        reader = message_class(f"{request.method}Response").FromString
        self._method = make(f"/{request.service}/{request.method}", request_serializer=None, response_deserializer=reader)
        self._request = request
        self._kind = request.stream_type
        self._cancel_at = request.cancel.WhichOneof("cancel_timing") or "after_close_send_ms" if request.HasField("cancel") else None
        self._payloads: list[Any] = []
        self._call: Any = None

    async def result(self) -> Any:
        """Makes the call. Returns a `ClientResponseResult`."""
        timeout = self._request.timeout_ms / 1000 if self._request.HasField("timeout_ms") else None
        options = {"timeout": timeout, "metadata": tuple(metadata_pairs(self._request.request_headers))}
        requests = [message.value for message in self._request.request_messages]
        unsent = 0
        if self._kind in (_UNARY, _SERVER_STREAM):
            await asyncio.sleep(self._request.request_delay_ms / 1000)
            self._call = self._method(requests[0], **options)
        else:
            self._call = self._method(**options)
            unsent = await self._write(requests)
        # The outcome is the call's; what reading raises says the same.
        with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await self._finish()
        return await self._outcome(unsent)

    async def _write(self, requests: list[bytes]) -> int:
        """Sends the requests. Returns how many could not be sent."""
        for count, request in enumerate(requests):
            await asyncio.sleep(self._request.request_delay_ms / 1000)
            try:
                await self._call.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
                return len(requests) - count
            if self._kind == _FULL_DUPLEX:
                try:
                    if not await self._read():
                        return len(requests) - count - 1
                except (grpc.aio.AioRpcError, asyncio.CancelledError):
                    return len(requests) - count - 1
        if self._cancel_at == "before_close_send":
            self._call.cancel()
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
            await self._call.done_writing()
        return 0

    async def _finish(self) -> None:
        if self._cancel_at == "after_close_send_ms":
            asyncio.get_running_loop().call_later(self._request.cancel.after_close_send_ms / 1000, self._call.cancel)
        if self._kind in (_UNARY, _CLIENT_STREAM):
            self._take(await self._call)
        else:
            while await self._read():
                pass

    async def _read(self) -> bool:
        """Reads a response. Returns False after the last."""
        if (response := await self._call.read()) is grpc.aio.EOF:
            return False
        self._take(response)
        if self._cancel_at == "after_num_responses" and len(self._payloads) == self._request.cancel.after_num_responses:
            self._call.cancel()
        return True

    def _take(self, response: Any) -> None:
        has_payload = "payload" in response.DESCRIPTOR.fields_by_name
        self._payloads.append(response.payload if has_payload else message_class("ConformancePayload")())

    async def _outcome(self, unsent: int) -> Any:
        code, details = await self._call.code(), await self._call.details()
        trailing = tuple(await self._call.trailing_metadata() or ())
        result = message_class("ClientResponseResult")(payloads=self._payloads, num_unsent_requests=unsent)
        result.response_headers.extend(headers_of(await self._call.initial_metadata() or ()))
        result.response_trailers.extend(headers_of(trailing))
        if code is not grpc.StatusCode.OK:
            result.error.code, result.error.message = code.value[0], details or ""
            for key, value in trailing:
                if key == "grpc-status-details-bin":
                    result.error.details.extend(status_pb2.Status.FromString(value).details)
        return result


async def _answer(request: Any, transport: str) -> Any:
    """A `ClientCompatResponse`: the result of a call, or why it cannot be made."""
    response = message_class("ClientCompatResponse")(test_name=request.test_name)
    try:
        async with _connect(request, transport) as channel:
            await asyncio.wait_for(channel.channel_ready(), _CONNECT_SECONDS)
            response.response.CopyFrom(await ConformanceCall(request, channel).result())
    except Exception as error:  # noqa: BLE001 the suite shows it
        response.error.message = repr(error)
    return response


def _connect(request: Any, transport: str) -> grpc.aio.Channel:
    target, limit = f"{request.host}:{request.port}", request.message_receive_limit or _DEFAULT_LIMIT
    creds = request.client_tls_creds
    if transport == "native":
        return Channel(target, ChannelOptions(max_message_bytes=limit, tls=_context(request) if request.server_tls_cert else None))
    options = [("grpc.max_receive_message_length", limit)]
    if not request.server_tls_cert:
        return grpc.aio.insecure_channel(target, options)
    credentials = grpc.ssl_channel_credentials(request.server_tls_cert, creds.key or None, creds.cert or None)
    return grpc.aio.secure_channel(target, credentials, options)


def _context(request: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=request.server_tls_cert.decode())
    if request.HasField("client_tls_creds"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(request.client_tls_creds.key + b"\n" + request.client_tls_creds.cert)
            file.flush()
            context.load_cert_chain(file.name)
    context.set_alpn_protocols(["h2"])
    return context


async def main(descriptors: Path, transport: str) -> None:
    load_contract(descriptors)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    places = asyncio.Semaphore(_PARALLEL)

    async def answer(request: Any) -> None:
        response = await _answer(request, transport)
        places.release()
        sys.stdout.buffer.write(frame(response))
        sys.stdout.buffer.flush()

    async with asyncio.TaskGroup() as group:
        with suppress(asyncio.IncompleteReadError):
            while True:
                size = frame_size(await reader.readexactly(4))
                request = message_class("ClientCompatRequest").FromString(await reader.readexactly(size))
                await places.acquire()
                group.create_task(answer(request))


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2]))
