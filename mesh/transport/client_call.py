"""One call of a client: its attempts, its deadline, and what its caller does with it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc.aio

from mesh.transport import messages
from mesh.transport.attempt import CallAttempt, CallOutcome
from mesh.transport.connection import Http2Connection

if TYPE_CHECKING:
    from mesh.transport.channel import Channel

_Code = grpc.StatusCode
_DEADLINE_SLACK_SECONDS = 0.01
_REQUEST_FIELDS = (
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"grpc-python-ngh2/1"),
    (b"grpc-accept-encoding", b"identity,gzip"),
)


class Details(NamedTuple):
    """What a call is made with."""

    method: str
    timeout: float | None
    """In seconds."""
    metadata: Sequence[tuple[str, str | bytes]]


class Kind(NamedTuple):
    """How the messages of a method are sent and read."""

    request_streaming: bool
    response_streaming: bool
    serialize: Callable[[Any], bytes] | None
    deserialize: Callable[[bytes], Any] | None


class ClientCall:
    """A call under way. It can be awaited if it has one response, and iterated over if it has a stream of them."""

    def __init__(self, channel: Channel, kind: Kind, details: Details, request: Any, wait_for_ready: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.wait_for_ready = wait_for_ready
        self._channel = channel
        self._kind = kind
        self._given = details
        self._retry = channel.retry_policy(details.method)
        self._attempts = 0
        self._attempt: CallAttempt | None = None
        # Whether it is made on one connection alone.
        self._pinned = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._outcome: CallOutcome | None = None
        self._exception: BaseException | None = None
        self._deadline: float | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._sending: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._response: asyncio.Future[Any] | None = None
        # What is to be sent and waits for a connection.
        self._outbox: deque[bytes] = deque()
        self._all_written = not kind.request_streaming
        self._request = request

    def start(self, details: Details) -> None:
        """Sends it, or lets it wait for a connection."""
        if self._outcome:
            return
        self._given = details
        if details.timeout is not None:
            self._deadline = self.loop.time() + details.timeout
            self._timers.append(self.loop.call_later(max(details.timeout, 0), self._expire))
        try:
            self._fields = messages.encode_metadata(details.metadata)
            if not self._kind.request_streaming:
                self._request = self._encode(self._request)
        except (ValueError, messages.CallFailure) as error:
            self._end(CallOutcome(getattr(error, "code", _Code.INTERNAL), str(error)))
            return
        if self._kind.request_streaming and self._request is not None:
            self._sending = self.loop.create_task(self._send_all(self._request))
        self._channel.dispatch(self)

    def start_on(self, connection: Http2Connection) -> None:
        """Sends it over this connection, and never over another. Raises `ConnectionError` if that takes no more calls."""
        self._pinned = True
        self._request = self._encode(self._request)
        self.send(connection)

    def send(self, connection: Http2Connection) -> None:
        """Begins an attempt. Raises `ConnectionError` if this connection takes no more calls."""
        headers = [*self._channel.request_fields, (b":path", self._given.method.encode()), *_REQUEST_FIELDS]
        if self._deadline is not None:
            headers.append((b"grpc-timeout", messages.encode_timeout(max(self._deadline - self.loop.time(), 0))))
        self._attempt = CallAttempt(connection, headers + self._fields, self._channel.max_message_bytes, self._wake, self._attempt_ended)
        self._attempts += 1
        if self._kind.request_streaming:
            self._send_outbox()
        else:
            connection.send_data(self._attempt.stream_id, self._request, end=True)
        self._wake()

    def fail(self, details: str) -> None:
        """There is no connection for it."""
        self._attempts += 1
        self._attempt_ended(CallOutcome(_Code.UNAVAILABLE, details))

    def fail_with(self, error: Exception) -> None:
        """It could not be prepared."""
        self._exception = error
        self._end(CallOutcome(error.code() if isinstance(error, grpc.aio.AioRpcError) else _Code.UNKNOWN, str(error)))

    # What the caller does.

    def __await__(self) -> Generator[Any, None, Any]:
        if self._response is None:
            self._response = self.loop.create_future()
            self._response.add_done_callback(self._response_done)
            self._respond()
        return self._response.__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        idle = self._channel.stream_idle_seconds
        try:
            while True:
                async with asyncio.timeout(idle):
                    message = await self._next()
                if message is None:
                    break
                yield self._decode(message)
            self._raise_unless_ok()
        except TimeoutError:
            self._end(CallOutcome(_Code.DEADLINE_EXCEEDED, f"the stream was silent for {idle:g} seconds"))
            raise self._error() from None
        finally:
            self.cancel()

    async def read(self) -> Any:
        """The next response, or `EOF` after the last. Raises `AioRpcError`."""
        if (message := await self._next()) is not None:
            return self._decode(message)
        self._raise_unless_ok()
        return grpc.aio.EOF

    async def write(self, request: Any) -> None:
        """Sends a request, and waits while the peer takes no more. Raises `AioRpcError` or `InvalidStateError` if the call is over."""
        if self._outcome:
            self._raise_unless_ok()
            raise asyncio.InvalidStateError("the call is over")
        try:
            self._outbox.append(self._encode(request))
        except messages.CallFailure as error:
            self._end(CallOutcome(error.code, error.details))
            self._raise_unless_ok()
        self._send_outbox()
        while self._outbox and not self._outcome:
            await self._wait()
        if self._attempt:
            await self._attempt.connection.wait_for_room(self._attempt.stream_id)

    async def done_writing(self) -> None:
        """Sends no more."""
        self._all_written = True
        self._send_outbox()

    def cancel(self) -> bool:
        if self._outcome:
            return False
        self._exception = asyncio.CancelledError()
        self._end(CallOutcome(_Code.CANCELLED, "the caller has cancelled the call"))
        return True

    def _is_cancelled(self) -> bool:
        return self._outcome is not None and self._outcome.code is _Code.CANCELLED

    def _is_done(self) -> bool:
        return self._outcome is not None

    # grpc.aio's names.
    cancelled, done = _is_cancelled, _is_done

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - self.loop.time(), 0)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self._outcome:
            callback(self)
        else:
            self._callbacks.append(callback)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        while not (self._attempt and self._attempt.initial is not None) and not self._outcome:
            await self._wait()
        return self._initial()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata(*(await self._wait_for_outcome()).trailing)

    async def code(self) -> grpc.StatusCode:
        return (await self._wait_for_outcome()).code

    async def details(self) -> str:
        return (await self._wait_for_outcome()).details

    async def wait_for_connection(self) -> None:
        """Waits until it is sent. Raises `AioRpcError` if it ends before."""
        while not self._attempt and not self._outcome:
            await self._wait()
        if self._outcome:
            self._raise_unless_ok()

    # How it goes.

    def _attempt_ended(self, outcome: CallOutcome) -> None:
        if self._outcome:
            return
        if outcome.code is _Code.CANCELLED and self._deadline is not None and self._deadline - self.loop.time() < _DEADLINE_SLACK_SECONDS:
            # The peer has the same deadline, and was a little earlier.
            outcome = CallOutcome(_Code.DEADLINE_EXCEEDED, "the deadline has passed")
        may_repeat = not self._pinned and not self._kind.request_streaming and not (self._attempt and self._attempt.initial is not None)
        delay: float | None = None
        if may_repeat and outcome.is_refused:
            delay = 0
        elif self._retry:
            delay = self._retry.delay(self._attempts, outcome, self._channel.throttle)
        if may_repeat and delay is not None:
            self._attempt = None
            self._timers.append(self.loop.call_later(delay, self._channel.dispatch, self))
            return
        inbox = self._attempt.inbox if self._attempt else None
        if outcome.code is _Code.OK and not self._kind.response_streaming and (inbox is None or inbox.count != 1):
            outcome = CallOutcome(_Code.UNIMPLEMENTED, "the response has to be one message")
        self._end(outcome)

    def _expire(self) -> None:
        self._end(CallOutcome(_Code.DEADLINE_EXCEEDED, "the deadline has passed"))

    def _end(self, outcome: CallOutcome) -> None:
        if self._outcome:
            return
        self._outcome = outcome
        for timer in self._timers:
            timer.cancel()
        if self._sending:
            self._sending.cancel()
        if self._attempt:
            self._attempt.cancel()
            if not self._all_written:
                self._attempt.connection.reset(self._attempt.stream_id)
        self._channel.forget(self)
        self._respond()
        self._wake()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def _respond(self) -> None:
        response, outcome = self._response, self._outcome
        if response is None or outcome is None or response.done():
            return
        if outcome.code is _Code.OK and self._attempt and self._attempt.inbox:
            try:
                response.set_result(self._decode(self._attempt.inbox.take() or b""))
            except Exception as error:  # noqa: BLE001 whatever a parser raises is the caller's
                response.set_exception(error)
        elif isinstance(self._exception, asyncio.CancelledError):
            response.cancel()
        else:
            response.set_exception(self._error())

    def _response_done(self, response: asyncio.Future[Any]) -> None:
        if response.cancelled():
            self.cancel()

    def _initial(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata(*((self._attempt.initial if self._attempt else None) or ()))

    def _error(self) -> BaseException:
        code, details, trailing, _ = self._outcome or CallOutcome(_Code.UNKNOWN, "")
        return self._exception or grpc.aio.AioRpcError(code, self._initial(), grpc.aio.Metadata(*trailing), details)

    def _raise_unless_ok(self) -> None:
        if self._outcome and self._outcome.code is not _Code.OK:
            raise self._error()

    async def _next(self) -> bytes | None:
        while not (self._attempt and self._attempt.inbox) and not self._outcome:
            await self._wait()
        return await self._attempt.inbox.read() if self._attempt and self._attempt.inbox else None

    def _encode(self, request: Any) -> bytes:
        message = self._kind.serialize(request) if self._kind.serialize else request
        if len(message) > (limit := self._channel.max_message_bytes):
            raise messages.CallFailure(_Code.RESOURCE_EXHAUSTED, f"a request of {len(message)} bytes is larger than {limit} bytes")
        return messages.with_prefix(message)

    def _decode(self, message: bytes) -> Any:
        return self._kind.deserialize(message) if self._kind.deserialize else message

    async def _send_all(self, requests: AsyncIterable[Any] | Iterable[Any]) -> None:
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    await self.write(request)
            else:
                for request in requests:
                    await self.write(request)
            await self.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # The call is over, and says so itself.
        except Exception as error:  # noqa: BLE001 whatever an iterator raises ends the call
            self._end(CallOutcome(_Code.UNKNOWN, f"the requests ended with {type(error).__name__}"))

    def _send_outbox(self) -> None:
        if not self._attempt or self._outcome:
            return
        connection, stream_id = self._attempt.connection, self._attempt.stream_id
        while self._outbox:
            connection.send_data(stream_id, self._outbox.popleft())
        if self._all_written:
            connection.send_data(stream_id, b"", end=True)

    async def _wait(self) -> None:
        waiter = self.loop.create_future()
        self._waiters.append(waiter)
        await waiter

    async def _wait_for_outcome(self) -> CallOutcome:
        while not self._outcome:
            await self._wait()
        return self._outcome

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
