"""One request over HTTP with its response."""

import re
from collections.abc import Iterator
from functools import lru_cache

import grpc

from gateway.asgi import Event, Headers, HttpResponse, Receive, Scope, Send
from gateway.body import RequestBody
from gateway.connections import peer_of
from gateway.errors import GatewayError, error_status
from gateway.malformed import MalformedRequest
from mesh.client_address import Networks, nearest_untrusted, parse_address
from mesh.telemetry import REQUEST_ID, TRACEPARENT, Origin, new_traceparent, origin_of

# Headers that a service receives as metadata, by their names here and there.
_FORWARDED = ((b"authorization", "authorization"), (b"tracestate", "tracestate"))
_TIMEOUT = re.compile(r"[0-9]{1,8}[HMSmun]")
# gRPC's own clocks overflow with the longest that the header can name, which would end the call at once.
_MAX_TIMEOUT_SECONDS = 365 * 24 * 3600.0
_SECONDS_PER_UNIT = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# Headers with one value: of two, a proxy in front may have checked the other.
_SINGLE_HEADERS = (b"authorization", b"idempotency-key", b"content-type", b"grpc-timeout")
_UNPRINTABLE = re.compile(rb"[^ -~]")
_MAX_USER_AGENT = 200
# The longest of a forwarded header: services accept 8 KiB of metadata, and answer more with a status of gRPC's own.
_MAX_FORWARDED = 4096
_PRINTABLE = re.compile(rb"[ -~]*")
_VALID_REQUEST_ID = re.compile(rb"[!-~]{1,128}")


class RawMetadata(grpc.aio.Metadata):
    """Metadata that is only passed on, and therefore has no index of its keys."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class Exchange:
    """One request, which gets one response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, trusted_proxies: Networks) -> None:
        self._send = send
        self.method: str = scope["method"]
        self.peer = peer_of(scope)
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._repeated_headers = len(self.headers) < len(scope["headers"])
        self._all_headers: Headers = scope["headers"]
        self.body = RequestBody(self.headers, receive)
        self.client = _client_address(scope, self.headers, trusted_proxies)
        self.origin = _origin(self.headers)
        self.status = 0
        """The HTTP status of the response, or 0 before it has begun."""
        self.rate_headers: Headers = []
        """What the response says of its caller's limits."""
        self.disconnected = False
        self.prefix = ""
        """The version before the path, such as `/v1`, which the paths in a response repeat; empty if there is none."""

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def check_headers(self) -> None:
        """Raises MalformedRequest if a header that has one value is sent with two."""
        if not self._repeated_headers:
            return
        for name in _SINGLE_HEADERS:
            if len({value for key, value in self._all_headers if key == name}) > 1:
                header = name.decode()
                raise MalformedRequest(f"the header {header} is given twice, with different values", header=header)

    def timeout(self) -> float | None:
        """How long the client waits, in seconds, if it sends gRPC's header. Raises MalformedRequest, and GatewayError if it has ended."""
        if not (value := self.header(b"grpc-timeout")):
            return None
        if not _TIMEOUT.fullmatch(value):
            raise MalformedRequest("Grpc-Timeout: expected up to eight digits with their unit, such as 200m", header="grpc-timeout")
        if not (seconds := int(value[:-1]) * _SECONDS_PER_UNIT[value[-1]]):
            raise GatewayError(error_status(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the deadline has passed"))
        return min(seconds, _MAX_TIMEOUT_SECONDS)

    def metadata(self) -> grpc.aio.Metadata:
        """The metadata of the RPC. Raises MalformedRequest for a header that gRPC cannot carry."""
        pairs = [(REQUEST_ID, self.origin.request_id), (TRACEPARENT, self.origin.traceparent), ("x-forwarded-for", self.client)]
        if agent := self.headers.get(b"user-agent"):
            # As grpc-gateway names it; gRPC's own header is that of this program.
            pairs.append(("grpcgateway-user-agent", _UNPRINTABLE.sub(b"?", agent[:_MAX_USER_AGENT]).decode()))
        for key, name in _FORWARDED:
            if value := self.headers.get(key):
                if not _PRINTABLE.fullmatch(value):
                    raise MalformedRequest(f"the header {name} has characters other than printable ASCII", header=name)
                if len(value) > _MAX_FORWARDED:
                    problem = f"the header {name} is longer than {_MAX_FORWARDED} bytes"
                    raise MalformedRequest(problem, header=name, max_bytes=str(_MAX_FORWARDED))
                pairs.append((name, value.decode()))
        return RawMetadata(*pairs)

    async def send(self, response: HttpResponse) -> None:
        """Sends a whole response."""
        await self.begin(response.status, [*response.headers, (b"content-length", b"%d" % len(response.body))])
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else response.body})

    async def send_event(self, event: Event) -> None:
        """Sends an event of an app that responds by itself, with the headers that all responses have."""
        if event["type"] == "http.response.start":
            event["headers"] = [*event.get("headers", ()), *self._common_headers()]
        elif self.method == "HEAD":
            event["body"] = b""
        await self._send(event)

    async def begin(self, status: int, headers: Headers) -> None:
        """Begins a response that is sent in chunks."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self._common_headers()]})

    async def send_chunk(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    def _common_headers(self) -> Headers:
        headers = [(b"x-request-id", self.origin.request_id.encode()), (b"x-content-type-options", b"nosniff"), *self.rate_headers]
        if self.body.unread:
            headers.append((b"connection", b"close"))
        return headers


_peer_address = lru_cache(4096)(parse_address)


def _client_address(scope: Scope, headers: dict[bytes, bytes], trusted_proxies: Networks) -> str:
    """The address of the client; empty if the connection has none."""
    address = _peer_address(scope["client"][0])
    if address and trusted_proxies and b"x-forwarded-for" in headers:
        forwarded_for = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
        address = nearest_untrusted(address, forwarded_for, trusted_proxies)
    return str(address) if address else ""


def _origin(headers: dict[bytes, bytes]) -> Origin:
    """The request's id and trace, with new ones for those that are missing or invalid."""
    if b"x-request-id" not in headers and b"traceparent" not in headers:
        traceparent = new_traceparent()
        return Origin(traceparent[3:35], traceparent, None)
    known: dict[str, str] = {}
    if (request_id := headers.get(b"x-request-id")) and _VALID_REQUEST_ID.fullmatch(request_id):
        known[REQUEST_ID] = request_id.decode()
    if trace := headers.get(b"traceparent"):
        known[TRACEPARENT] = trace.decode("latin-1")
    return origin_of(known, None)
