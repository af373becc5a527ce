"""One HTTP/2 connection on an asyncio transport. Framing, HPACK, stream states and windows are libnghttp2's, by way of `ngh2`.

This is the only module that knows `ngh2`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

import ngh2

from mesh.transport.header_blocks import HeaderBlocks, Headers, fields
from mesh.transport.limits import CANCEL, CONNECTION_LOST, ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR, Limits

_STREAM_WINDOW = 256 * 1024
_CONNECTION_WINDOW = 32 * 1024 * 1024
_WRITE_BYTES = 64 * 1024
# How much of what calls have written waits for the peer's window before they are made to wait: one call, and all of a connection.
_STREAM_QUEUE_BYTES = 64 * 1024
_CONNECTION_QUEUE_BYTES = 4 * 1024 * 1024
# Larger header lists end the connection. Calls refuse those above the limit that is advertised.
_MAX_HEADER_LIST_BYTES = 64 * 1024
_CLOSE_SECONDS = 5
_TICK_SECONDS = 1
# How many frames that carry nothing a peer may send within a tick: PING, SETTINGS, empty DATA.
_MAX_EMPTY_FRAMES = 2_000
_KEEPALIVE, _DRAIN = b"alive?  ", b"drained?"
# The first of two: it stops new calls, and refuses none that are under way to us. libnghttp2 takes a connection without streams for
# finished once it has sent any GOAWAY, so this one is written beside it.
_GOAWAY_NOTICE = bytes.fromhex("0000080700000000007fffffff00000000")


class Stream(Protocol):
    """A call, as its connection sees it."""

    def headers_received(self, headers: Headers, ended: bool) -> None: ...
    def data_received(self, data: bytes, ended: bool) -> None: ...
    def trailers_received(self, headers: Headers) -> None: ...
    def on_close(self, error_code: int) -> None: ...


class Http2Connection(asyncio.Protocol):
    """Either end of a connection. What is sent leaves at the end of the loop's turn, together with what other calls send."""

    def __init__(self, limits: Limits, *, is_client: bool) -> None:
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, Stream] = {}
        self.transport: asyncio.Transport | None = None
        self.lost: asyncio.Future[None] = self.loop.create_future()
        """Done when the connection is gone."""
        self.is_open = False
        """Whether new calls may begin: the handshake is over, and nobody has said that the connection ends."""
        self.buffered = 0
        """How many bytes of unfinished messages it holds."""
        # Their burst, and their number per second: calls that are given up at their deadlines are resets too.
        self._http2 = ngh2.Connection(
            ngh2.Role.CLIENT if is_client else ngh2.Role.SERVER,
            ngh2.Configuration(
                auto_window_update=False, stream_reset_rate_limit=(5_000, 1_000), max_inbound_header_list_size=_MAX_HEADER_LIST_BYTES
            ),
        )
        self._flush_scheduled = False
        self._paused = False
        self._draining = self._leaving = False
        self._notice = b""
        self._writers: list[asyncio.Future[None]] = []
        # Streams of which everything was sent, and that the peer has not ended.
        self._half_closed: set[int] = set()
        self._empty_frames = 0
        self._began = self._last_received = self.loop.time()
        self._pinged: float | None = None
        self._settled = False
        self._timer: asyncio.TimerHandle | None = None
        self._header_blocks: HeaderBlocks | None = None

    # What subclasses add.

    def request_received(self, stream_id: int, headers: Headers, ended: bool) -> None:
        """A peer begins a call."""

    def on_open(self) -> None:
        """New calls may begin."""

    def on_closing(self) -> None:
        """No more calls may begin."""

    def on_tick(self, age: float) -> None:
        """A second has passed."""

    # What calls do.

    def open(self, stream: Stream, headers: Headers) -> int:
        """Begins a call, and returns the id of its stream. Raises `ConnectionError` if the connection is ending."""
        try:
            stream_id = self._http2.send_request(headers)
        except ngh2.NGH2Error as error:
            self._stop_opening()
            raise ConnectionError(str(error)) from None
        self.streams[stream_id] = stream
        self._schedule_flush()
        return stream_id

    def send_headers(self, stream_id: int, headers: Headers, *, end: bool = False) -> None:
        """Answers a request."""
        self._submit(self._http2.send_response, stream_id, headers, end_stream=end)

    def send_data(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        self._submit(self._http2.send_data, stream_id, data, end_stream=end)

    def send_trailers(self, stream_id: int, headers: Headers) -> None:
        """Ends an answer."""
        self._submit(self._http2.send_trailers, stream_id, headers)

    def stop_reading(self, stream_id: int) -> None:
        """Tells the peer, once everything is sent, that no more of its messages are wanted."""
        self._half_closed.add(stream_id)

    def reset(self, stream_id: int, error_code: int = CANCEL) -> None:
        if stream_id in self.streams:
            self._submit(self._http2.reset_stream, stream_id, error_code)

    def acknowledge(self, stream_id: int, count: int) -> None:
        """Lets the peer send as many bytes more."""
        if count and self.transport:
            self._submit(self._http2.acknowledge_received_data, count, stream_id)

    def is_congested(self, stream_id: int) -> bool:
        """Whether more is waiting to be sent than the peer takes."""
        http2 = self._http2
        return http2.queued_body_size(stream_id) > _STREAM_QUEUE_BYTES or http2.queued_body_size() > _CONNECTION_QUEUE_BYTES

    async def wait_for_room(self, stream_id: int) -> None:
        """Waits until the stream is not congested, or is over."""
        while stream_id in self.streams and self.is_congested(stream_id):
            writer = self.loop.create_future()
            self._writers.append(writer)
            await writer

    def drain(self) -> None:
        """Lets no new calls begin, and closes the connection when those under way are over."""
        if self._draining or not self.transport:
            return
        self._draining = True
        if not self.is_open:
            self._hang_up()
            return
        self._notice = _GOAWAY_NOTICE
        self.loop.call_later(_TICK_SECONDS, self._refuse_streams)
        self._schedule_flush()

    def close_when_idle(self) -> None:
        """Closes the connection when the calls under way are over. The owner begins no more."""
        self._leaving = True
        if not self.streams:
            self.close()

    def close(self, error_code: int = NO_ERROR) -> None:
        """Ends the connection with all calls on it."""
        if self.transport and not self.transport.is_closing():
            try:
                self._http2.terminate_connection(error_code)
                self.transport.write(self._http2.data_to_send())
            except ngh2.NGH2Error:
                pass  # There is nobody to say goodbye to.
            self._hang_up()

    def _submit(self, send: Callable[..., None], *what: Any, **how: Any) -> None:
        try:
            send(*what, **how)
        except ngh2.NGH2Error:
            return  # The stream or the connection is over, as its owner is about to hear.
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush)

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance: uvloop's are none.
        self.transport = stream = cast(asyncio.Transport, transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls and tls.selected_alpn_protocol() != "h2":
            stream.abort()
            return
        self._timer = self.loop.call_later(_TICK_SECONDS, self._tick)
        self._initiate()
        self._schedule_flush()

    def _initiate(self) -> None:
        is_client = self._http2.role is ngh2.Role.CLIENT
        settings = {
            ngh2.Setting.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
            ngh2.Setting.MAX_HEADER_LIST_SIZE: self.limits.header_list_bytes,
        }
        if is_client:
            self._header_blocks = HeaderBlocks()
            # Each header block can then be read by itself.
            settings |= {ngh2.Setting.ENABLE_PUSH: 0, ngh2.Setting.HEADER_TABLE_SIZE: 0}
        else:
            settings[ngh2.Setting.MAX_CONCURRENT_STREAMS] = self.limits.concurrent_streams
        self._http2.initiate_connection(settings)
        self._http2.set_local_window_size(_CONNECTION_WINDOW)

    def data_received(self, data: bytes) -> None:
        self._last_received = self.loop.time()
        try:
            self._http2.receive_data(data)
        except ngh2.NGH2Error:
            self._hang_up()
            return
        if self._header_blocks:
            self._header_blocks.feed(data)
        self._dispatch()
        self._flush()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._schedule_flush()

    def connection_lost(self, _error: Exception | None) -> None:
        if self.lost.done():
            return
        self.transport = None
        if self._timer:
            self._timer.cancel()
        self._stop_opening()
        for stream_id in tuple(self.streams):
            self._forget(stream_id, CONNECTION_LOST)
        self._wake_writers()
        self.lost.set_result(None)

    def _hang_up(self) -> None:
        self._stop_opening()
        if transport := self.transport:
            transport.close()
            if self._timer:
                self._timer.cancel()
            self._timer = self.loop.call_later(_CLOSE_SECONDS, transport.abort)

    def _stop_opening(self) -> None:
        if self.is_open:
            self.is_open = False
            self.on_closing()

    def _flush(self) -> None:
        self._flush_scheduled = False
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        try:
            while not self._paused:
                data = self._http2.data_to_send(_WRITE_BYTES)
                if data:
                    transport.write(data)
                if len(data) < _WRITE_BYTES:
                    self._after_frames(transport)
                    break
        except ngh2.NGH2Error:
            self._hang_up()
            return
        self._dispatch()
        self._wake_writers()

    def _after_frames(self, transport: asyncio.Transport) -> None:
        """Everything that can be sent is sent, up to the end of a frame."""
        if self._notice:
            transport.write(self._notice)
            self._notice = b""
            self._submit(self._http2.ping, _DRAIN)
        if self._half_closed:
            for stream_id in tuple(self._half_closed):
                if not self._http2.queued_body_size(stream_id):
                    self._half_closed.discard(stream_id)
                    self.reset(stream_id, NO_ERROR)

    def _wake_writers(self) -> None:
        if self._writers:
            writers, self._writers = self._writers, []
            for writer in writers:
                if not writer.done():
                    writer.set_result(None)

    def _dispatch(self) -> None:
        for event in self._http2.events():
            match event:
                case ngh2.DataReceived(stream_id, data, ended):
                    self._empty_frames += not data and not ended
                    if stream := self.streams.get(stream_id):
                        stream.data_received(data, ended)
                    else:
                        self.acknowledge(stream_id, len(data))
                case ngh2.RequestReceived(stream_id, headers, ended):
                    self.request_received(stream_id, headers, ended)
                case ngh2.ResponseReceived(stream_id, headers, ended):
                    if stream := self.streams.get(stream_id):
                        stream.headers_received(headers, ended)
                case ngh2.TrailersReceived(stream_id, headers):
                    if stream := self.streams.get(stream_id):
                        stream.trailers_received(headers)
                case ngh2.StreamClosed(stream_id, error_code):
                    self._forget(stream_id, error_code)
                case _:
                    self._dispatch_control(event)
        if self._empty_frames > _MAX_EMPTY_FRAMES:
            self.close(ENHANCE_YOUR_CALM)

    def _dispatch_control(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.SettingsReceived():
                self._empty_frames += 1
                if not self.is_open and not self._draining:
                    self.is_open = True
                    self.on_open()
            case ngh2.SettingsAcknowledged():
                self._settled = True
            case ngh2.PingReceived():
                self._empty_frames += 1
            case ngh2.PingAcknowledged(data):
                self._pinged = None
                if data == _DRAIN:
                    self._refuse_streams()
            case ngh2.GoAwayReceived():
                self._stop_opening()
            case ngh2.ConnectionClosed():
                self._hang_up()

    def _forget(self, stream_id: int, error_code: int) -> None:
        self._half_closed.discard(stream_id)
        block = self._header_blocks.pop(stream_id) if self._header_blocks else None
        if stream := self.streams.pop(stream_id, None):
            if block and error_code == PROTOCOL_ERROR:
                # Refused by libnghttp2, though gRPC allows it: a message that ends with a space.
                stream.trailers_received(fields(block))
            stream.on_close(error_code)
        if self._leaving and not self.streams:
            self.close()

    def _refuse_streams(self) -> None:
        """The second half of a drain: the peer has seen the first, so that calls which are not here by now will not come."""
        if self._draining and self.transport and self.is_open:
            self._stop_opening()
            self._submit(self._http2.send_goaway)

    def _tick(self) -> None:
        self._timer = self.loop.call_later(_TICK_SECONDS, self._tick)
        self._empty_frames = 0
        now = self.loop.time()
        if not self._settled and now - self._began > self.limits.handshake_seconds:
            self._abort()
        elif self._pinged is not None and now - self._pinged > self.limits.keepalive_timeout_seconds:
            if self._last_received < self._pinged:
                self._abort()
            self._pinged = None
        elif self._pinged is None and self.streams and now - self._last_received > self.limits.keepalive_seconds:
            self._pinged = now
            self._submit(self._http2.ping, _KEEPALIVE)
        self.on_tick(now - self._began)

    def _abort(self) -> None:
        if self.transport:
            self.transport.abort()
