"""Which requests a worker lets in, by what it has under way and by who asks."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.rpc.status_pb2 import Status

from gateway.body import BodyBudget
from gateway.callers import Callers
from gateway.connections import Connections, RequestCounts
from gateway.errors import GatewayError, error_status
from gateway.exchange import Exchange
from gateway.rates import RateLimit
from gateway.settings import Settings

_RETRY_STREAM_SECONDS = 30


class Admission:
    """Counts the requests and the streams under way."""

    def __init__(self, connections: Connections, settings: Settings) -> None:
        self.connections = connections
        self.bodies = BodyBudget(settings.max_body_bytes)
        self._settings = settings
        self._callers = Callers(settings.trusted_proxies)
        self._rates = [
            (caller, _Policy(name, maximum, settings.rate_window_seconds))
            for name, caller, maximum in (
                ("address", self._callers.address, settings.requests_per_address),
                ("subject", self._callers.subject, settings.requests_per_subject),
            )
            if maximum
        ]
        self._streams = RequestCounts[tuple[str, str]]()

    def check(self, exchange: Exchange) -> None:
        """Counts a request. Raises GatewayError if its caller has sent too many, or if too many are under way."""
        self._limit(exchange)
        # Those whose bodies are being read keep nobody waiting.
        if len(self.connections.busy) - len(self.connections.uploading) > self._settings.max_requests:
            raise GatewayError(error_status(grpc.StatusCode.UNAVAILABLE, "OVERLOADED", "the gateway has too many requests under way"))

    def accept(self, exchange: Exchange) -> None:
        """Notes that a service has accepted the request's token, so that its subject counts from now on."""
        if token := self._callers.token(exchange):
            token.proven = True

    @contextmanager
    def upload(self, exchange: Exchange) -> Iterator[None]:
        """A wait for the client's body, for the length of a `with` block."""
        self.connections.uploading.add(exchange.peer)
        try:
            yield
        finally:
            self.connections.uploading.remove(exchange.peer)

    @contextmanager
    def stream(self, exchange: Exchange) -> Iterator[None]:
        """Counts a stream for the length of a `with` block. Raises GatewayError if its caller has too many."""
        address, subject = ("address", self._callers.address(exchange)), ("subject", self._callers.subject(exchange))
        counted = [caller for caller in (address, subject) if caller[1]]
        for caller in counted:
            maximum = self._settings.max_streams_per_address if caller is address else self._settings.max_streams_per_subject
            if self._streams[caller] >= maximum:
                raise GatewayError(_too_many_streams(caller[0], maximum))
        for caller in counted:
            self._streams.add(caller)
        try:
            yield
        finally:
            for caller in counted:
                self._streams.remove(caller)

    def _limit(self, exchange: Exchange) -> None:
        policies: list[bytes] = []
        states: list[bytes] = []
        refused: tuple[_Policy, int] | None = None
        for caller_of, policy in self._rates:
            if caller := caller_of(exchange):
                left, seconds = policy.limit.take(caller)
                policies.append(policy.header)
                states.append(b'"%s";r=%d;t=%d' % (policy.name, max(left, 0), math.ceil(seconds)))
                if left < 0:
                    refused = policy, math.ceil(seconds)
        if policies:
            exchange.rate_headers = [(b"ratelimit-policy", b", ".join(policies)), (b"ratelimit", b", ".join(states))]
        if refused:
            raise GatewayError(refused[0].error(refused[1]))


class _Policy:
    """A limit with its name, as draft-ietf-httpapi-ratelimit-headers-10 has it."""

    def __init__(self, name: str, maximum: int, window_seconds: int) -> None:
        self.name = name.encode()
        self.limit = RateLimit(maximum, window_seconds)
        self.header = b'"%s";q=%d;w=%d' % (self.name, maximum, window_seconds)
        self._message = f"this {name} may send {maximum} requests in {window_seconds} seconds"
        self._metadata = {"kind": name, "limit": str(maximum), "seconds": str(window_seconds)}

    def error(self, retry_seconds: int) -> Status:
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        return error_status(code, "RATE_LIMITED", self._message, retry_seconds=retry_seconds, **self._metadata)


def _too_many_streams(kind: str, maximum: int) -> Status:
    message = f"this {kind} has {maximum} streams open, and may not have more"
    return error_status(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", message, retry_seconds=_RETRY_STREAM_SECONDS, limit=str(maximum), kind=kind
    )
