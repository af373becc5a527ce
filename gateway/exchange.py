"""One request over HTTP: what it brings, and the way back."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, TypeAlias

import grpc
from google.rpc.status_pb2 import Status

from gateway.errors import Answer, Headers, refusal
from gateway.reader import Malformed
from mesh.telemetry import REQUEST_ID, TRACEPARENT, Origin, new_traceparent, origin_of

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# The largest body, and the largest line of a body of lines.
MAX_BODY = 1024 * 1024
# How much of a larger one is read and dropped, for a client that still sends does not listen.
MAX_IGNORED = 8 * MAX_BODY
# How long a body may pause.
BODY_IDLE_SECONDS = 10.0
# How much of a body that nobody wants is read before the answer, and for how long, so that its connection can be used again.
# The number is that of Go's net/http.
MAX_DRAINED = 256 * 1024
DRAIN_SECONDS = 5.0
# How long a client may go on sending after it was answered: to close at once could cost it the answer (RFC 9112, section 9.6).
LINGER_SECONDS = 2.0
# How often to look for calls that take long enough for their clients to be watched.
WATCH_EVERY_SECONDS = 0.05


class Refused(Exception):
    """The gateway itself refuses the request."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


class HungUp(Exception):
    """The client is gone, so that nobody waits for an answer."""


class Exchange:
    """One request: its body is read at most once, and it is answered once.

    While its body is not read to its end, nobody knows where the next request of its connection begins:
    an answer in that state announces that the connection will be closed.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        self._receive = receive
        self._send = send
        # What the server was asked for and has not yet told.
        self._receiving: asyncio.Future[Event] | None = None
        self.method: str = scope["method"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.client = scope["client"][0] if scope.get("client") else ""
        if trusted_proxies and b"x-forwarded-for" in self.headers:
            self.client = _client(self.client, self.header(b"x-forwarded-for"), trusted_proxies)
        self.origin = _origin(self.headers)
        # The HTTP status of the answer, once it has begun.
        self.status = 0
        self.hung_up = False
        self.has_unread_body = b"transfer-encoding" in self.headers or self.headers.get(b"content-length", b"0") != b"0"

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def timeout(self) -> float | None:
        """How long the client waits, in seconds, if it says so as gRPC does."""
        if not (value := self.header(b"grpc-timeout")):
            return None
        if not _TIMEOUT.fullmatch(value):
            raise Malformed("Grpc-Timeout: expected up to eight digits with their unit, such as 200m")
        return int(value[:-1]) * _UNITS[value[-1]]

    def metadata(self) -> grpc.aio.Metadata:
        """What the service is told beside the request."""
        pairs = [(REQUEST_ID, self.origin.request_id), (TRACEPARENT, self.origin.traceparent), ("x-forwarded-for", self.client)]
        for key, name in _PASSED_ON:
            if value := self.headers.get(key):
                if not _PRINTABLE.fullmatch(value):
                    raise Malformed(f"the header {name} has characters other than printable ASCII")
                pairs.append((name, value.decode()))
        return Pairs(*pairs)

    async def body(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in self._chunks(BODY_IDLE_SECONDS):
            size += len(chunk)
            if size <= MAX_BODY:
                chunks.append(chunk)
            elif size > MAX_IGNORED:
                break
        if size > MAX_BODY:
            raise _too_large()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def lines(self, idle_seconds: float) -> AsyncIterator[bytes | Malformed]:
        """The lines of the body as they come, without blank ones. In the place of one that is too long stands what is wrong with it."""
        rest = b""
        too_long = False
        async for chunk in self._chunks(idle_seconds):
            *ended, last = chunk.split(b"\n")
            for line in ended:
                line, rest = rest + line, b""
                if too_long or len(line) > MAX_BODY:
                    too_long = False
                    yield _LONG_LINE
                elif line.strip():
                    yield line
            rest += last
            if len(rest) > MAX_BODY:
                too_long, rest = True, b""
        if too_long:
            yield _LONG_LINE
        elif rest.strip():
            yield rest

    async def _chunks(self, idle_seconds: float | None) -> AsyncIterator[bytes]:
        while self.has_unread_body:
            # Were it cancelled, the server would wait for it, and not end before it is killed.
            self._receiving = self._receiving or asyncio.ensure_future(self._receive())
            if not (await asyncio.wait((self._receiving,), timeout=idle_seconds))[0]:
                message = f"nothing came for {idle_seconds:g} seconds"
                raise Refused(refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", message))
            event, self._receiving = self._receiving.result(), None
            if event["type"] == "http.disconnect":
                raise HungUp
            self.has_unread_body = event.get("more_body", False)
            yield event.get("body", b"")

    async def discard_body(self) -> None:
        """Reads a body that nobody wants, unless it is long or slow. Raises HungUp."""
        if not self.has_unread_body:
            return
        declared = self.headers.get(b"content-length", b"0")
        # A client that waits for 100 Continue has not sent its body, and may never.
        if b"expect" in self.headers or (declared.isdigit() and int(declared) > MAX_DRAINED):
            return
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                async for chunk in self._chunks(None):
                    size += len(chunk)
                    if size > MAX_DRAINED:
                        return

    async def linger(self) -> None:
        """Reads what the client still sends after its answer, for a while."""
        size = 0
        with suppress(TimeoutError, HungUp):
            async with asyncio.timeout(LINGER_SECONDS):
                async for chunk in self._chunks(None):
                    size += len(chunk)
                    if size > MAX_IGNORED:
                        break
        if self._receiving:
            # The server closes the connection only when nobody waits for more of the body.
            self._receiving.cancel()

    async def gone(self) -> None:
        """Waits until the client hangs up. For when the body was read."""
        disconnected = False
        while not disconnected:
            receiving, self._receiving = self._receiving, None
            event = await (receiving or self._receive())
            self.has_unread_body = event.get("more_body", False)
            disconnected = event["type"] == "http.disconnect"

    async def send(self, answer: Answer) -> None:
        """Answers at once."""
        await self.begin(answer.status, [*answer.headers, (b"content-length", b"%d" % len(answer.body))])
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else answer.body})

    async def send_with_request_id(self, event: Event) -> None:
        """For an app that answers by itself."""
        if event["type"] == "http.response.start":
            event["headers"] = [*event.get("headers", ()), *self._common_headers()]
        elif self.method == "HEAD":
            event["body"] = b""
        await self._send(event)

    async def begin(self, status: int, headers: Headers) -> None:
        """Begins an answer that comes in pieces."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self._common_headers()]})

    async def piece(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    def _common_headers(self) -> Headers:
        headers = [(b"x-request-id", self.origin.request_id.encode()), (b"x-content-type-options", b"nosniff")]
        if self.has_unread_body:
            headers.append((b"connection", b"close"))
        return headers


class Watch:
    """Cancels calls whose clients hang up. One timer looks after all of them, for most are over before it would be worth one."""

    def __init__(self) -> None:
        self._calls: dict[grpc.aio.Call, Exchange] = {}
        self._tasks: dict[grpc.aio.Call, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._seen: set[grpc.aio.Call] = set()

    def begin(self, call: grpc.aio.Call, exchange: Exchange) -> None:
        self._calls[call] = exchange
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WATCH_EVERY_SECONDS, self._look)

    def end(self, call: grpc.aio.Call) -> None:
        del self._calls[call]
        if task := self._tasks.pop(call, None):
            task.cancel()

    def _look(self) -> None:
        self._timer = None
        if not self._calls:
            self._seen.clear()
            return
        self._timer = asyncio.get_running_loop().call_later(WATCH_EVERY_SECONDS, self._look)
        for call in self._seen & self._calls.keys() - self._tasks.keys():
            self._tasks[call] = asyncio.ensure_future(_cancel_when_gone(call, self._calls[call]))
        self._seen = set(self._calls)


async def _cancel_when_gone(call: grpc.aio.Call, exchange: Exchange) -> None:
    await exchange.gone()
    exchange.hung_up = True
    call.cancel()


class Pairs(grpc.aio.Metadata):
    """Metadata that is only passed on: as it came, without an index of its keys."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


# Headers that go on as they came, by their names here and there.
_PASSED_ON = ((b"authorization", "authorization"), (b"tracestate", "tracestate"))
_TIMEOUT = re.compile(r"[0-9]{1,8}[HMSmun]")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_PRINTABLE = re.compile(rb"[ -~]*")
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_LONG_LINE = Malformed(f"the line is longer than {MAX_BODY} bytes")


def _origin(headers: dict[bytes, bytes]) -> Origin:
    """The request's own id and trace, or new ones for those that it lacks or that are none."""
    if b"x-request-id" not in headers and b"traceparent" not in headers:
        traceparent = new_traceparent()
        return Origin(traceparent[3:35], traceparent, None)
    known: dict[str, str] = {}
    if (request_id := headers.get(b"x-request-id")) and _REQUEST_ID.fullmatch(request_id):
        known[REQUEST_ID] = request_id.decode()
    if trace := headers.get(b"traceparent"):
        known[TRACEPARENT] = trace.decode("latin-1")
    return origin_of(known, None)


def _client(peer: str, forwarded_for: str, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """The client's address: the nearest that is not one of our own proxies, each of which names who called it."""
    hops = [hop.strip() for hop in forwarded_for.split(",")]
    client = peer
    while hops and _is_one_of(client, trusted_proxies):
        client = hops.pop()
    return client if _is_address(client) else peer


def _is_one_of(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _too_large() -> Refused:
    return Refused(refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE", f"the body is larger than {MAX_BODY} bytes"))
