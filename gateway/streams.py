"""Streaming RPCs over HTTP: responses as lines of JSON or as events, requests from lines of JSON."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import grpc

from gateway import errors
from gateway.asgi import Headers
from gateway.body import ClientDisconnected
from gateway.endpoint import Endpoint
from gateway.errors import GatewayError, idle_status
from gateway.exchange import Exchange
from gateway.malformed import MalformedRequest

T = TypeVar("T")

# How long a response waits for its first message: until then, an error can still have an HTTP status of its own.
FIRST_MESSAGE_SECONDS = 1.0


class TimeLimits(NamedTuple):
    """How long calls may take, in seconds."""

    deadline: float
    """Of a unary call whose client sets none."""
    stream_idle: float
    heartbeat: float


class _Framing(NamedTuple):
    """How messages follow each other in a body."""

    content_type: bytes
    message: Callable[[bytes], bytes]
    error: Callable[[bytes], bytes]
    heartbeat: bytes
    """What is sent while there are no messages; empty for nothing."""


_LINES = _Framing(b"application/x-ndjson", lambda json: json + b"\n", lambda json: b'{"error":' + json + b"}\n", b"")
_EVENTS = _Framing(
    b"text/event-stream", lambda json: b"data: " + json + b"\n\n", lambda json: b'event: error\ndata: {"error":' + json + b"}\n\n", b":\n\n"
)


async def send_response_stream(exchange: Exchange, endpoint: Endpoint, request: bytes, limits: TimeLimits) -> None:
    """Sends each message of the service as soon as it arrives. Raises AioRpcError if the service fails before the first."""
    framing = _EVENTS if "text/event-stream" in exchange.header(b"accept") else _LINES
    headers: Headers = [(b"content-type", framing.content_type), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    if exchange.method == "HEAD":
        await exchange.begin(200, headers)
        await exchange.end()
        return
    call = endpoint.rpc(request, timeout=exchange.timeout(), metadata=exchange.metadata())
    disconnect = asyncio.ensure_future(exchange.body.wait_for_disconnect())
    reading = asyncio.ensure_future(call.read())
    try:
        await asyncio.wait((disconnect, reading), timeout=FIRST_MESSAGE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        await exchange.begin(200, headers)
        await _ResponseStream(exchange, endpoint, call, framing, limits).copy(reading, disconnect)
    finally:
        disconnect.cancel()
        call.cancel()


async def collect_request_stream(exchange: Exchange, endpoint: Endpoint, segments: list[str], limits: TimeLimits) -> bytes:
    """Passes on each line of the body as fast as the service takes it, and returns the service's response, which may precede the end."""
    call = endpoint.rpc(timeout=exchange.timeout(), metadata=exchange.metadata())
    statuses: list[grpc.aio.AioRpcError] = []
    call.add_done_callback(lambda ended: statuses.append(_result_now(_status(ended))))
    sending = asyncio.ensure_future(_send_lines(exchange, endpoint, call, segments, limits))
    receiving = asyncio.ensure_future(_response(call, statuses))
    try:
        await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
            await _wait_for_response(exchange, receiving, limits)
        return await receiving
    finally:
        sending.cancel()
        call.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


@dataclass(frozen=True)
class _ResponseStream:
    """A response under way."""

    exchange: Exchange
    endpoint: Endpoint
    call: grpc.aio.UnaryStreamCall[bytes, bytes]
    framing: _Framing
    limits: TimeLimits

    async def copy(self, reading: asyncio.Future[Any], disconnect: asyncio.Future[None]) -> None:
        """Sends messages, of which the first is being read, until the stream ends or is idle for too long, or the client disconnects."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.wait((disconnect, reading), timeout=self.limits.heartbeat, return_when=asyncio.FIRST_COMPLETED)
            if disconnect.done():
                return
            if reading.done():
                if not await self._send(reading):
                    break
                last = loop.time()
                reading = asyncio.ensure_future(self.call.read())
            elif loop.time() - last >= self.limits.stream_idle:
                await self.exchange.send_chunk(self.framing.error(errors.status_json(idle_status(self.limits.stream_idle))))
                break
            elif self.framing.heartbeat:
                await self.exchange.send_chunk(self.framing.heartbeat)
        await self.exchange.end()

    async def _send(self, reading: asyncio.Future[Any]) -> bool:
        """Sends what was read. Returns whether more may follow."""
        try:
            message = reading.result()
        except grpc.aio.AioRpcError as error:
            await self.exchange.send_chunk(self.framing.error(errors.status_json(errors.rpc_status(error, self.endpoint.service))))
            return False
        if not isinstance(message, bytes):  # grpc.aio.EOF
            return False
        await self.exchange.send_chunk(self.framing.message(self.endpoint.encode(message)))
        return True


async def _send_lines(
    exchange: Exchange, endpoint: Endpoint, call: grpc.aio.StreamUnaryCall[bytes, bytes], segments: list[str], limits: TimeLimits
) -> None:
    number = 0
    async for line in exchange.body.lines(limits.stream_idle):
        number += 1
        try:
            request = endpoint.request_from_line(segments, exchange.query, line)
        except MalformedRequest as error:
            raise MalformedRequest(f"line {number}: {error.problem}", error.field, line=str(number), **error.metadata) from None
        try:
            async with asyncio.timeout(limits.stream_idle):
                await call.write(request)
        except TimeoutError:
            raise GatewayError(idle_status(limits.stream_idle)) from None
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # The service has responded already.
    with suppress(grpc.aio.InternalError):  # The same.
        await call.done_writing()


async def _wait_for_response(exchange: Exchange, receiving: asyncio.Future[bytes], limits: TimeLimits) -> None:
    disconnect = asyncio.ensure_future(exchange.body.wait_for_disconnect())
    await asyncio.wait((disconnect, receiving), timeout=limits.stream_idle, return_when=asyncio.FIRST_COMPLETED)
    if disconnect.done() and not receiving.done():
        raise ClientDisconnected
    disconnect.cancel()
    if not receiving.done():
        raise GatewayError(idle_status(limits.stream_idle))


async def _response(call: grpc.aio.StreamUnaryCall[bytes, bytes], statuses: list[grpc.aio.AioRpcError]) -> bytes:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        # A write that fails because the service has responded makes the status INTERNAL (grpc/grpc#36066): the service's own is the first.
        raise (statuses[0] if error.code() is grpc.StatusCode.INTERNAL else error) from None


async def _status(call: grpc.aio.StreamUnaryCall[bytes, bytes]) -> grpc.aio.AioRpcError:
    initial, trailing = await call.initial_metadata(), await call.trailing_metadata()
    return grpc.aio.AioRpcError(await call.code(), initial, trailing, await call.details())


def _result_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("the coroutine waits")
