"""The body of a request: read whole, line by line, or discarded."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import grpc

from gateway.asgi import Event, Receive
from gateway.errors import GatewayError, error_status, idle_status, slow_status
from gateway.malformed import MalformedRequest

# The largest body, and the largest line of a body of lines.
MAX_BODY = 1024 * 1024
# Up to here, a body counts for nobody's budget, so that large ones leave the small ones their place.
SMALL_BODY = 16 * 1024
# How much of a larger one is read and dropped, since a client does not listen while it sends.
MAX_IGNORED = 8 * MAX_BODY
# How long a body may pause. It takes this long and a second for every so many bytes at most, and never longer than the last.
BODY_IDLE_SECONDS = 10.0
MIN_BYTES_PER_SECOND = 1024
MAX_BODY_SECONDS = 60.0
# How much of an unwanted body is read before the response, and for how long, so that its connection can be used again.
# The number is that of Go's net/http.
MAX_DRAINED = 256 * 1024
DRAIN_SECONDS = 5.0
# How long a client may go on sending after the response: closing at once could cost it the response (RFC 9112, section 9.6).
LINGER_SECONDS = 2.0

_LONG_LINE = MalformedRequest(f"the line is longer than {MAX_BODY} bytes", max_bytes=str(MAX_BODY))


class ClientDisconnected(Exception):
    """The client has closed its connection, so that nobody waits for a response."""


class BodyBudget:
    """How many bytes of bodies a worker may hold at once, besides small ones."""

    def __init__(self, max_bytes: int) -> None:
        self.free = max_bytes

    def take(self, count: int) -> None:
        """Raises GatewayError if there is too little left."""
        if count > self.free:
            message = "the gateway holds as many large bodies as it can"
            raise GatewayError(error_status(grpc.StatusCode.UNAVAILABLE, "OVERLOADED", message))
        self.free -= count


class RequestBody:
    """A body that is read at most once.

    While it is not read to its end, nobody knows where the next request of its connection begins: a response in that state must announce
    that the connection will be closed, and `linger` must follow it.
    """

    __slots__ = ("_budget", "_headers", "_held", "_receive", "_receiving", "unread")

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        self._headers = headers
        self._receive = receive
        self._budget: BodyBudget | None = None
        self._held = 0
        # The event that the server was asked for and has not delivered yet.
        self._receiving: asyncio.Future[Event] | None = None
        self.unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

    async def read(self, max_bytes: int, budget: BodyBudget) -> bytes:
        """The whole body, which counts in the budget until its release.

        Raises GatewayError if it is too large or too slow, or beyond the budget, and ClientDisconnected.
        """
        self._budget = budget
        chunks: list[bytes] = []
        size, began = 0, time.monotonic()
        async for chunk in self._chunks(BODY_IDLE_SECONDS):
            size += len(chunk)
            if self.unread and (seconds := time.monotonic() - began) > min(
                BODY_IDLE_SECONDS + size / MIN_BYTES_PER_SECOND, MAX_BODY_SECONDS
            ):
                raise GatewayError(slow_status(size, seconds))
            if size > MAX_IGNORED:
                break
            if size <= max_bytes:
                self._hold(size)
                chunks.append(chunk)
            else:
                chunks.clear()
                self.release()
        if size > max_bytes:
            message = f"the body is larger than {max_bytes} bytes"
            raise GatewayError(error_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE", message, max_bytes=str(max_bytes)))
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self) -> None:
        """Gives back to the budget what the body has taken from it."""
        if self._held and self._budget:
            self._budget.free += self._held
            self._held = 0

    async def lines(self, idle_seconds: float) -> AsyncIterator[bytes | MalformedRequest]:
        """The lines as they arrive, without blank ones; an error in the place of each that is too long. Raises as `read` does."""
        # A line may come byte by byte: appending to bytes would copy all of it each time.
        rest = bytearray()
        too_long = False
        async for chunk in self._chunks(idle_seconds):
            *complete, last = chunk.split(b"\n")
            for line in complete:
                if rest:
                    line, rest = bytes(rest + line), bytearray()
                if too_long or len(line) > MAX_BODY:
                    too_long = False
                    yield _LONG_LINE
                elif line.strip():
                    yield line
            rest += last
            if len(rest) > MAX_BODY:
                too_long, rest = True, bytearray()
        if too_long:
            yield _LONG_LINE
        elif rest.strip():
            yield bytes(rest)

    async def discard(self) -> None:
        """Reads and drops the body, unless it is long or slow. Raises ClientDisconnected."""
        if not self.unread:
            return
        length = self._headers.get(b"content-length", b"0")
        # A client that waits for 100 Continue has not sent its body, and may never.
        if b"expect" in self._headers or (length.isdigit() and int(length) > MAX_DRAINED):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drop(MAX_DRAINED)

    async def linger(self) -> None:
        """Reads and drops what the client still sends after the response, for a while."""
        with suppress(TimeoutError, ClientDisconnected):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._drop(MAX_IGNORED)
        if self._receiving:
            # The server closes the connection only when nobody waits for more of the body.
            self._receiving.cancel()

    async def wait_for_disconnect(self) -> None:
        """Returns when the client has closed its connection. What is left of the body is dropped."""
        disconnected = False
        while not disconnected:
            receiving, self._receiving = self._receiving, None
            event = await (receiving or self._receive())
            self.unread = event.get("more_body", False)
            disconnected = event["type"] == "http.disconnect"

    def _hold(self, size: int) -> None:
        if self._budget and (more := size - SMALL_BODY - self._held) > 0:
            self._budget.take(more)
            self._held += more

    async def _drop(self, limit: int) -> None:
        size = 0
        async for chunk in self._chunks(None):
            size += len(chunk)
            if size > limit:
                return

    async def _chunks(self, idle_seconds: float | None) -> AsyncIterator[bytes]:
        while self.unread:
            # Shielded from cancellation, after which the server would wait for it, and not stop before it is killed.
            self._receiving = self._receiving or asyncio.ensure_future(self._receive())
            if not (await asyncio.wait((self._receiving,), timeout=idle_seconds))[0]:
                raise GatewayError(idle_status(idle_seconds or 0))
            event, self._receiving = self._receiving.result(), None
            if event["type"] == "http.disconnect":
                self.unread = False
                raise ClientDisconnected
            self.unread = event.get("more_body", False)
            yield event.get("body", b"")
