"""One call of a server: what its handler knows of it and does with it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import grpc.aio

from mesh.transport import messages
from mesh.transport.addresses import peer_name
from mesh.transport.connection import Http2Connection
from mesh.transport.header_blocks import Headers
from mesh.transport.limits import NO_ERROR
from mesh.transport.messages import CallFailure, Inbox

_GRPC = re.compile(rb"application/grpc(?:[+;]|$)")
_CONTENT_TYPE = (b"content-type", b"application/grpc")
_ENCODINGS = (b"grpc-accept-encoding", b"identity,gzip")
_RESPONSE_HEADERS = [(b":status", b"200"), _CONTENT_TYPE]
_REFUSAL_HEADERS = [(b"content-type", b"text/plain"), (b"allow", b"POST")]
_REFUSAL = b"This is a gRPC server: requests are POST, and of the content type application/grpc.\n"
_OVERFLOW = "the unfinished messages of this connection are too large together"

_log = logging.getLogger(__name__)

_Pairs = Iterable[tuple[str, str | bytes]]


class ServerCall(grpc.aio.ServicerContext[Any, Any]):
    """A call under way, and the context of its handler."""

    def __init__(self, connection: Http2Connection, stream_id: int, max_message_bytes: int, max_response_bytes: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._max_message_bytes, self._max_response_bytes = max_message_bytes, max_response_bytes
        self._handler: grpc.RpcMethodHandler[Any, Any] | None = None
        self._inbox: Inbox | None = None
        self._metadata: messages.Metadata = ()
        self._trailing: messages.Metadata = ()
        self._trailing_fields: list[tuple[bytes, bytes]] = []
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._headers_sent = self._ended = self._request_ended = self._cancelled = False

    # What the connection tells.

    def begin(self, headers: Headers, ended: bool, methods: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        """Takes the request's header. The handler starts with the whole request, or at once if that is a stream."""
        self._request_ended = ended
        fields = dict(headers)
        if status := _http_error(fields):
            self._refuse_http(status, has_body=fields.get(b":method") != b"HEAD")
            return
        try:
            self._take_header(headers, fields, methods)
        except CallFailure as error:
            self._fail(error)
            return
        if self._handler and self._handler.request_streaming:
            self._start()
        if ended:
            self._request_complete()

    def headers_received(self, headers: Headers, ended: bool) -> None:
        """Requests have one header."""

    def data_received(self, data: bytes, ended: bool) -> None:
        if self._ended or self._inbox is None:
            self._connection.acknowledge(self._stream_id, len(data))
            return
        before = self._inbox.buffered
        try:
            self._inbox.feed(data)
            self._connection.buffered += self._inbox.buffered - before
            if self._connection.buffered > self._connection.limits.buffer_bytes:
                raise CallFailure(grpc.StatusCode.RESOURCE_EXHAUSTED, _OVERFLOW)
        except CallFailure as error:
            self._fail(error)
            return
        if ended:
            self._request_complete()

    def trailers_received(self, headers: Headers) -> None:
        """A request may end with them; they mean nothing to gRPC."""
        self._request_complete()

    def on_close(self, error_code: int) -> None:
        if self._timer:
            self._timer.cancel()
        if self._inbox:
            self._connection.buffered -= self._inbox.buffered
            self._inbox.release()
            self._inbox.close()
        if not self._ended:
            self._ended = True
            self._cancelled = error_code != NO_ERROR
            if self._task:
                self._task.cancel()

    def cancel(self) -> None:
        """Ends the call because the server stops."""
        if self._task:
            self._task.cancel()

    # What the handler knows and does.

    def invocation_metadata(self) -> Any:
        return self._metadata

    def peer(self) -> str:
        return peer_name(self._extra("peername"))

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """The certificate of the client, in gRPC's words."""
        tls = self._extra("ssl_object")
        certificate = tls.getpeercert() if isinstance(tls, (ssl.SSLObject, ssl.SSLSocket)) else None
        if not certificate:
            return {}
        subject: Any = certificate.get("subject", ())
        names = [value for part in subject for key, value in part if key == "commonName"]
        alternatives: Any = certificate.get("subjectAltName", ())
        others = [value for _, value in alternatives]
        return {
            "transport_security_type": [b"ssl"],
            "x509_common_name": [str(name).encode() for name in names],
            "x509_subject_alternative_name": [str(name).encode() for name in others],
        }

    def peer_identity_key(self) -> str | None:
        return "x509_subject_alternative_name" if self.auth_context() else None

    def peer_identities(self) -> Iterable[bytes] | None:
        return self.auth_context().get("x509_subject_alternative_name")

    def time_remaining(self) -> Any:
        return None if self._deadline is None else max(self._deadline - self._connection.loop.time(), 0)

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailing

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = tuple(trailing_metadata)
        self._trailing_fields = messages.encode_metadata(self._trailing)

    def set_compression(self, compression: grpc.Compression) -> None:
        """Responses are never compressed."""

    def disable_next_message_compression(self) -> None:
        """Responses are never compressed."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def _is_cancelled(self) -> bool:
        return self._cancelled

    def _is_done(self) -> bool:
        return self._ended

    # grpc.aio's names.
    cancelled, done = _is_cancelled, _is_done

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        self._code = grpc.StatusCode.UNKNOWN if code is grpc.StatusCode.OK else code
        self._details = details
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        raise grpc.aio.AbortError

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._send_headers(initial_metadata)

    async def read(self) -> Any:
        if self._inbox is None or self._handler is None or (message := await self._inbox.read()) is None:
            return grpc.aio.EOF
        return _apply(self._handler.request_deserializer, message)

    async def write(self, message: Any) -> None:
        """Sends a message, and waits while the client takes no more."""
        self._send(message)
        if self._connection.is_congested(self._stream_id):
            await self._connection.wait_for_room(self._stream_id)

    # How it goes.

    def _take_header(self, headers: Headers, fields: dict[bytes, bytes], methods: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        messages.check_header_list(headers, self._connection.limits.header_list_bytes)
        if not messages.is_understood(fields[b"content-type"]):
            raise CallFailure(grpc.StatusCode.UNIMPLEMENTED, "the content type has to be application/grpc or application/grpc+proto")
        if timeout := fields.get(b"grpc-timeout"):
            seconds = messages.decode_timeout(timeout)
            self._deadline = self._connection.loop.time() + seconds
            self._timer = self._connection.loop.call_later(seconds, self._expire)
        if (handler := methods.get(fields[b":path"].decode("latin-1"))) is None:
            raise CallFailure(grpc.StatusCode.UNIMPLEMENTED, "no such method")
        encoding = fields.get(b"grpc-encoding", b"identity")
        if encoding not in (b"identity", b"gzip"):
            raise CallFailure(grpc.StatusCode.UNIMPLEMENTED, "messages may be compressed with gzip alone")
        self._metadata = messages.decode_metadata(headers)
        self._inbox = Inbox(self._connection, self._stream_id, self._max_message_bytes, encoding)
        self._handler = handler

    def _refuse_http(self, status: bytes, *, has_body: bool) -> None:
        self._connection.send_headers(self._stream_id, [(b":status", status), *_REFUSAL_HEADERS], end=not has_body)
        if has_body:
            self._connection.send_data(self._stream_id, _REFUSAL, end=True)
        self._end()

    def _request_complete(self) -> None:
        self._request_ended = True
        if self._inbox is None or self._handler is None or self._ended:
            return
        try:
            self._inbox.end()
            if not self._handler.request_streaming:
                if self._inbox.count != 1:
                    raise CallFailure(grpc.StatusCode.UNIMPLEMENTED, f"the method takes one message, and {self._inbox.count} came")
                self._start()
        except CallFailure as error:
            self._fail(error)

    def _start(self) -> None:
        self._task = self._connection.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._serve()
            self._finish()
        except grpc.aio.AbortError:
            self._finish()
        except CallFailure as error:
            self._fail(error)
        except asyncio.CancelledError:
            if not self._ended:
                self._fail(CallFailure(grpc.StatusCode.CANCELLED, "the server has cancelled the call"))
            raise
        except Exception:  # noqa: BLE001 this is the edge
            _log.exception("a call failed")
            self._code, self._details = grpc.StatusCode.UNKNOWN, "the call failed"
            self._finish()
        finally:
            for callback in self._callbacks:
                callback(self)

    async def _serve(self) -> None:
        handler = self._handler
        if handler is None or self._inbox is None:
            return
        method: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        message = b"" if handler.request_streaming else self._inbox.take()
        answer = method(self._requests() if handler.request_streaming else _apply(handler.request_deserializer, message), self)
        if inspect.isasyncgen(answer):
            async for response in answer:
                await self.write(response)
        elif (response := await answer) is not None and not handler.response_streaming:
            self._send(response)
            if self._connection.is_congested(self._stream_id):
                await self._connection.wait_for_room(self._stream_id)

    async def _requests(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    def _send(self, message: Any) -> None:
        if self._ended:
            raise asyncio.CancelledError
        body: bytes = _apply(self._handler.response_serializer, message) if self._handler else message
        if len(body) > self._max_response_bytes:
            details = f"the response of {len(body)} bytes is larger than {self._max_response_bytes} bytes"
            raise CallFailure(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
        if not self._headers_sent:
            self._send_headers(())
        self._connection.send_data(self._stream_id, messages.with_prefix(body))

    def _send_headers(self, metadata: _Pairs) -> None:
        if self._headers_sent or self._ended:
            return
        self._headers_sent = True
        self._connection.send_headers(self._stream_id, [*_RESPONSE_HEADERS, *messages.encode_metadata(metadata)])

    def _fail(self, error: CallFailure) -> None:
        self._code, self._details = error.code, error.details
        self._finish()

    def _finish(self) -> None:
        """Sends the status."""
        if self._ended:
            return
        trailers = self._trailers()
        if self._headers_sent:
            self._connection.send_trailers(self._stream_id, trailers)
        else:
            self._connection.send_headers(self._stream_id, [*_RESPONSE_HEADERS, _ENCODINGS, *trailers], end=True)
        self._end()

    def _trailers(self) -> Sequence[tuple[bytes, bytes]]:
        if self._code is None:
            self._code = grpc.StatusCode.OK
        status = [(b"grpc-status", b"%d" % self._code.value[0])]
        if self._details:
            status.append((b"grpc-message", messages.encode_details(self._details)))
        return status + self._trailing_fields

    def _end(self) -> None:
        self._ended = True
        if self._timer:
            self._timer.cancel()
        if not self._request_ended:
            self._connection.stop_reading(self._stream_id)

    def _expire(self) -> None:
        self._code, self._details = grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed"
        self._finish()
        if self._task:
            self._task.cancel()

    def _extra(self, name: str) -> object:
        transport = self._connection.transport
        return transport.get_extra_info(name) if transport else None


def _http_error(fields: Mapping[bytes, bytes]) -> bytes:
    """The HTTP status for a request that is none of gRPC's; empty for one that is."""
    if fields.get(b":method") != b"POST":
        return b"405"
    return b"" if _GRPC.match(fields.get(b"content-type", b"")) else b"415"


def _apply(function: Callable[[Any], Any] | None, value: Any) -> Any:
    return function(value) if function else value
