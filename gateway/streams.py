"""Streams over HTTP: answers as lines of JSON or as events, requests from lines of JSON."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import grpc
from google.rpc.status_pb2 import Status
from grpc.aio._typing import EOFType

from gateway import errors
from gateway.endpoint import Endpoint
from gateway.errors import Headers, refusal
from gateway.exchange import Exchange, HungUp, Refused
from gateway.reader import Malformed

T = TypeVar("T")

# How long an answer waits for its first message: until then, an error can still have a status of its own.
FIRST_MESSAGE_SECONDS = 1.0


class Limits(NamedTuple):
    """How long calls may take, in seconds."""

    deadline: float
    stream_idle: float
    heartbeat: float


class _Framing(NamedTuple):
    """How messages follow each other in a body."""

    content_type: bytes
    message: Callable[[bytes], bytes]
    error: Callable[[bytes], bytes]
    heartbeat: bytes


_LINES = _Framing(b"application/x-ndjson", lambda json: json + b"\n", lambda json: b'{"error":' + json + b"}\n", b"")
_EVENTS = _Framing(
    b"text/event-stream", lambda json: b"data: " + json + b"\n\n", lambda json: b"event: error\ndata: " + json + b"\n\n", b":\n\n"
)


async def answer_stream(exchange: Exchange, endpoint: Endpoint, request: bytes, limits: Limits) -> None:
    """Answers with each message of the service as soon as it comes. Raises AioRpcError if the service refuses before the first."""
    framing = _EVENTS if "text/event-stream" in exchange.header(b"accept") else _LINES
    headers: Headers = [(b"content-type", framing.content_type), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    if exchange.method == "HEAD":
        await exchange.begin(200, headers)
        await exchange.end()
        return
    call = endpoint.rpc(request, timeout=exchange.timeout(), metadata=exchange.metadata())
    gone = asyncio.ensure_future(exchange.gone())
    reading = asyncio.ensure_future(call.read())
    try:
        await asyncio.wait((gone, reading), timeout=FIRST_MESSAGE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        await exchange.begin(200, headers)
        await _copy(exchange, endpoint, call, reading, gone, framing, limits)
    finally:
        gone.cancel()
        call.cancel()


async def collect_stream(exchange: Exchange, endpoint: Endpoint, segments: list[str], limits: Limits) -> bytes:
    """Sends each line of the body on as soon as the service takes it, and returns the service's answer, which may come before the end."""
    call = endpoint.rpc(timeout=exchange.timeout(), metadata=exchange.metadata())
    statuses: list[grpc.aio.AioRpcError] = []
    call.add_done_callback(lambda ended: statuses.append(_at_once(_status(ended))))
    sending = asyncio.ensure_future(_send_lines(exchange, endpoint, call, segments, limits))
    answering = asyncio.ensure_future(_answer(call, statuses))
    try:
        await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
            gone = asyncio.ensure_future(exchange.gone())
            await asyncio.wait((gone, answering), timeout=limits.stream_idle, return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not answering.done():
                raise HungUp
            gone.cancel()
            if not answering.done():
                raise Refused(_idle(limits))
        return await answering
    finally:
        sending.cancel()
        call.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)


async def _copy(
    exchange: Exchange,
    endpoint: Endpoint,
    call: grpc.aio.UnaryStreamCall[bytes, bytes],
    reading: asyncio.Future[bytes | EOFType],
    gone: asyncio.Future[None],
    framing: _Framing,
    limits: Limits,
) -> None:
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        await asyncio.wait((gone, reading), timeout=limits.heartbeat, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            return
        if not reading.done():
            if loop.time() - last >= limits.stream_idle:
                await exchange.piece(framing.error(errors.json(_idle(limits))))
                break
            if framing.heartbeat:
                await exchange.piece(framing.heartbeat)
            continue
        try:
            message = reading.result()
        except grpc.aio.AioRpcError as error:
            await exchange.piece(framing.error(errors.json(errors.refused_by(error, endpoint.service))))
            break
        if not isinstance(message, bytes):
            break
        await exchange.piece(framing.message(endpoint.encode(message)))
        last = loop.time()
        reading = asyncio.ensure_future(call.read())
    await exchange.end()


async def _send_lines(
    exchange: Exchange, endpoint: Endpoint, call: grpc.aio.StreamUnaryCall[bytes, bytes], segments: list[str], limits: Limits
) -> None:
    number = 0
    async for line in exchange.lines(limits.stream_idle):
        number += 1
        try:
            request = endpoint.request_from_line(segments, exchange.query, line)
        except Malformed as problem:
            raise Malformed(f"line {number}: {problem.problem}", problem.field) from None
        try:
            async with asyncio.timeout(limits.stream_idle):
                await call.write(request)
        except TimeoutError:
            raise Refused(_idle(limits)) from None
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # The service has answered already.
    with suppress(grpc.aio.InternalError):  # The same.
        await call.done_writing()


async def _answer(call: grpc.aio.StreamUnaryCall[bytes, bytes], statuses: list[grpc.aio.AioRpcError]) -> bytes:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        # A write that fails because the service has answered makes that answer INTERNAL (grpc/grpc#36066): its own is the first.
        raise (statuses[0] if error.code() is grpc.StatusCode.INTERNAL else error) from None


async def _status(call: grpc.aio.StreamUnaryCall[bytes, bytes]) -> grpc.aio.AioRpcError:
    initial, trailing = await call.initial_metadata(), await call.trailing_metadata()
    return grpc.aio.AioRpcError(await call.code(), initial, trailing, await call.details())


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits")


def _idle(limits: Limits) -> Status:
    message = f"nothing came for {limits.stream_idle:g} seconds"
    return refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", message)
