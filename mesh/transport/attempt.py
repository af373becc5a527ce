"""One attempt at a call of a client: a stream of one connection, from its header to its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import grpc

from mesh.transport import messages
from mesh.transport.connection import Http2Connection
from mesh.transport.header_blocks import Headers
from mesh.transport.limits import CANCEL, CONNECTION_LOST, ENHANCE_YOUR_CALM, REFUSED_STREAM
from mesh.transport.messages import CallFailure, Inbox

_Code = grpc.StatusCode
# What an end without a status means. See gRPC's documents: http-grpc-status-mapping.md, PROTOCOL-HTTP2.md.
_HTTP_CODES = {
    b"400": _Code.INTERNAL,
    b"401": _Code.UNAUTHENTICATED,
    b"403": _Code.PERMISSION_DENIED,
    b"404": _Code.UNIMPLEMENTED,
    b"429": _Code.UNAVAILABLE,
    b"502": _Code.UNAVAILABLE,
    b"503": _Code.UNAVAILABLE,
    b"504": _Code.UNAVAILABLE,
}
_RESET_CODES = {
    REFUSED_STREAM: _Code.UNAVAILABLE,
    CONNECTION_LOST: _Code.UNAVAILABLE,
    CANCEL: _Code.CANCELLED,
    ENHANCE_YOUR_CALM: _Code.RESOURCE_EXHAUSTED,
}


class CallOutcome(NamedTuple):
    """How an attempt ended."""

    code: grpc.StatusCode
    details: str
    trailing: messages.Metadata = ()
    is_refused: bool = False
    """Whether the peer has not looked at the call, so that it can be made again, whatever it does."""


class CallAttempt:
    """A stream. It says when its header has come, and how it ended, each once."""

    def __init__(
        self,
        connection: Http2Connection,
        headers: Headers,
        max_message_bytes: int,
        began: Callable[[], None],
        ended: Callable[[CallOutcome], None],
    ) -> None:
        """Sends the header. Raises `ConnectionError` if the connection takes no more calls."""
        self.initial: messages.Metadata | None = None
        """The peer's initial metadata, once it has come."""
        self.inbox: Inbox | None = None
        self.connection = connection
        self._max_message_bytes = max_message_bytes
        self._began, self._ended = began, ended
        self._is_over = False
        self.stream_id = connection.open(self, headers)

    def cancel(self) -> None:
        """Ends the stream. Nothing more is heard of it."""
        if not self._is_over:
            self._is_over = True
            self.connection.reset(self.stream_id)
            if self.inbox:
                self.inbox.release()
        if self.inbox:
            self.inbox.close()

    # What the connection tells.

    def headers_received(self, headers: Headers, ended: bool) -> None:
        fields = dict(headers)
        # A status that comes with a header counts only if that is the end: the one in the trailers is right.
        if ended:
            self.trailers_received(headers)
            return
        try:
            _check_response(fields)
            self.initial = messages.decode_metadata(headers)
        except CallFailure as error:
            self._refuse(error)
            return
        encoding = fields.get(b"grpc-encoding", b"identity")
        self.inbox = Inbox(self.connection, self.stream_id, self._max_message_bytes, encoding)
        self._began()

    def data_received(self, data: bytes, ended: bool) -> None:
        if self.inbox is None or self._is_over:
            self.connection.acknowledge(self.stream_id, len(data))
            return
        try:
            self.inbox.feed(data)
        except CallFailure as error:
            self._refuse(error)

    def trailers_received(self, headers: Headers) -> None:
        fields = dict(headers)
        try:
            if (status := fields.get(b"grpc-status")) is None:
                if b":status" in fields:
                    _check_response(fields)
                raise CallFailure(_Code.UNKNOWN, "the response ended without a status")
            code, trailing = messages.decode_code(status), messages.decode_metadata(headers)
            if code is _Code.OK and self.inbox:
                self.inbox.end()
        except CallFailure as error:
            self._refuse(error)
            return
        self._conclude(CallOutcome(code, messages.decode_details(fields.get(b"grpc-message", b"")), trailing))

    def on_close(self, error_code: int) -> None:
        is_lost, code = error_code == CONNECTION_LOST, _RESET_CODES.get(error_code, _Code.INTERNAL)
        details = "the connection was lost" if is_lost else f"the stream ended without a status, with HTTP/2's code {error_code}"
        self._conclude(CallOutcome(code, details, is_refused=error_code == REFUSED_STREAM))

    def _refuse(self, error: CallFailure) -> None:
        if not self._is_over:
            self.connection.reset(self.stream_id)
            self._conclude(CallOutcome(error.code, error.details))

    def _conclude(self, outcome: CallOutcome) -> None:
        if not self._is_over:
            self._is_over = True
            if self.inbox:
                self.inbox.close()
            self._ended(outcome)


def _check_response(fields: Mapping[bytes, bytes]) -> None:
    """Raises `CallFailure` for a header that is not that of a gRPC response."""
    status = fields.get(b":status", b"")
    if status != b"200":
        raise CallFailure(_HTTP_CODES.get(status, _Code.UNKNOWN), f"the peer answered with the HTTP status {status.decode('latin-1')}")
    content_type = fields.get(b"content-type", b"")
    if not messages.is_understood(content_type):
        raise CallFailure(_Code.UNKNOWN, f"the content type of the peer's response is not gRPC's, but {content_type.decode('latin-1')!r}")
