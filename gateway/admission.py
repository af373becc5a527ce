"""Which requests a worker lets in, by what it has under way and by who asks."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.rpc.status_pb2 import Status

from gateway.body import BodyBudget
from gateway.callers import Callers
from gateway.connections import Connections
from gateway.errors import GatewayError, error_status
from gateway.exchange import Exchange
from gateway.settings import Settings

_RETRY_STREAM_SECONDS = 30


class Admission:
    """Counts the requests and the streams under way."""

    def __init__(self, connections: Connections, settings: Settings) -> None:
        self.connections = connections
        self.bodies = BodyBudget(settings.max_body_bytes)
        self._settings = settings
        self._callers = Callers(settings.trusted_proxies)
        self._streams: Counter[tuple[str, str]] = Counter()

    def check(self) -> None:
        """Raises GatewayError if too many requests are under way. Those whose bodies are being read keep nobody waiting."""
        if len(self.connections.busy) - len(self.connections.uploading) > self._settings.max_requests:
            raise GatewayError(error_status(grpc.StatusCode.UNAVAILABLE, "OVERLOADED", "the gateway has too many requests under way"))

    @contextmanager
    def upload(self, exchange: Exchange) -> Iterator[None]:
        """The reading of a body, for the length of a `with` block."""
        self.connections.uploading.add(exchange.peer)
        try:
            yield
        finally:
            self.connections.uploading.discard(exchange.peer)

    @contextmanager
    def stream(self, exchange: Exchange) -> Iterator[None]:
        """Counts a stream for the length of a `with` block. Raises GatewayError if its caller has too many."""
        address, subject = ("address", self._callers.address(exchange)), ("subject", self._callers.subject(exchange))
        counted = [caller for caller in (address, subject) if caller[1]]
        for caller in counted:
            maximum = self._settings.max_streams_per_address if caller is address else self._settings.max_streams_per_subject
            if self._streams[caller] >= maximum:
                raise GatewayError(_too_many_streams(caller[0], maximum))
        self._streams.update(counted)
        try:
            yield
        finally:
            for caller in counted:
                self._streams[caller] -= 1
                if not self._streams[caller]:
                    del self._streams[caller]


def _too_many_streams(kind: str, maximum: int) -> Status:
    message = f"this {kind} has {maximum} streams open, and may not have more"
    return error_status(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", message, retry_seconds=_RETRY_STREAM_SECONDS, limit=str(maximum), kind=kind
    )
