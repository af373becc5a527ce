"""gRPC's notation on HTTP/2: messages with their lengths, metadata, timeouts and statuses."""

import asyncio
import base64
import binascii
import re
import zlib
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import quote, unquote_to_bytes

import grpc

from mesh.transport.connection import Http2Connection
from mesh.transport.header_blocks import Headers

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

_PREFIX_BYTES = 5
_GZIP_WBITS = 31
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS_PER_UNIT = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_MAX_TIMEOUT_NUMBER = 99_999_999
# What a message keeps as it is, besides letters and digits: all that is printable but `%`. HTTP/2 refuses a space at either end.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if code != ord("%"))
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# Fields of HTTP/2 and of gRPC itself, which are no metadata.
_OWN = frozenset(
    (
        b"content-type",
        b"te",
        b"grpc-timeout",
        b"grpc-encoding",
        b"grpc-accept-encoding",
        b"grpc-status",
        b"grpc-message",
        b"grpc-message-type",
    )
)


class CallFailure(Exception):
    """A call that ends with this status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class Inbox:
    """The messages that the peer sends in a call. While there are unread ones, it is not allowed to send more than a window.

    The limit of a connection's memory is counted where there is one: on a server.
    """

    def __init__(self, connection: Http2Connection, stream_id: int, max_bytes: int, encoding: bytes = b"identity") -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._max_bytes = max_bytes
        self._encoding = encoding
        self._partial = bytearray()
        self._messages: deque[bytes] = deque()
        self._unacknowledged = 0
        self._reader: asyncio.Future[None] | None = None
        self._ended = False
        self.count = 0
        """How many messages have come."""

    @property
    def buffered(self) -> int:
        """How many bytes of a message that is not complete it holds."""
        return len(self._partial)

    def feed(self, data: bytes) -> None:
        """Takes bytes. Raises `CallFailure` for a message that is too large or cannot be read."""
        if self._messages:
            self._unacknowledged += len(data)
        else:
            self._connection.acknowledge(self._stream_id, len(data))
        if not self._partial and len(data) >= _PREFIX_BYTES and len(data) == _PREFIX_BYTES + self._size(data):
            self._add(data[0], data[_PREFIX_BYTES:])
            return
        self._partial += data
        begin = 0
        while (held := len(self._partial) - begin) >= _PREFIX_BYTES:
            size = self._size(self._partial[begin : begin + _PREFIX_BYTES])
            if held < _PREFIX_BYTES + size:
                break
            end = begin + _PREFIX_BYTES + size
            self._add(self._partial[begin], bytes(self._partial[begin + _PREFIX_BYTES : end]))
            begin = end
        del self._partial[:begin]

    def end(self) -> None:
        """The peer has sent its last message. Raises `CallFailure` if that is not whole."""
        if self._partial:
            raise CallFailure(grpc.StatusCode.INTERNAL, "the stream ended within a message")
        self.close()

    def close(self) -> None:
        """No more will come."""
        self._ended = True
        self._wake()

    def release(self) -> None:
        """Forgets what was not read. Nothing more is read."""
        self._messages.clear()
        self._partial.clear()
        self._acknowledge()

    def take(self) -> bytes | None:
        """The next message, if it is there."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        if not self._messages:
            self._acknowledge()
        return message

    async def read(self) -> bytes | None:
        """The next message, or None after the last."""
        while (message := self.take()) is None and not self._ended:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return message

    def _size(self, prefix: bytes | bytearray) -> int:
        size = int.from_bytes(prefix[1:_PREFIX_BYTES], "big")
        if size > self._max_bytes:
            raise CallFailure(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a message of {size} bytes is larger than {self._max_bytes} bytes")
        return size

    def _add(self, flag: int, message: bytes) -> None:
        if flag:
            message = self._decompress(flag, message)
        self.count += 1
        self._messages.append(message)
        self._wake()

    def _decompress(self, flag: int, message: bytes) -> bytes:
        if flag != 1 or self._encoding != b"gzip":
            raise CallFailure(grpc.StatusCode.INTERNAL, "a message is compressed, and no encoding was announced")
        decompressor = zlib.decompressobj(_GZIP_WBITS)
        try:
            plain = decompressor.decompress(message, self._max_bytes + 1)
        except zlib.error:
            raise CallFailure(grpc.StatusCode.INTERNAL, "a message is not compressed as it says") from None
        if len(plain) > self._max_bytes:
            raise CallFailure(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a message is larger than {self._max_bytes} bytes")
        if not decompressor.eof:
            raise CallFailure(grpc.StatusCode.INTERNAL, "a compressed message is not whole")
        return plain

    def _acknowledge(self) -> None:
        self._connection.acknowledge(self._stream_id, self._unacknowledged)
        self._unacknowledged = 0

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)


def is_understood(content_type: bytes) -> bool:
    """Whether it is gRPC's, with messages as clients and servers here read them."""
    return content_type.partition(b";")[0] in (b"application/grpc", b"application/grpc+proto")


def with_prefix(message: bytes) -> bytes:
    """A message as it is sent."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def encode_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    """Metadata as header fields. Raises `ValueError` for what gRPC cannot carry."""
    fields = []
    for key, value in metadata:
        name = _encode_key(key)
        if name.endswith(b"-bin"):
            if not isinstance(value, bytes):
                raise ValueError(f"the value of {key} has to be bytes")
            fields.append((name, base64.b64encode(value).rstrip(b"=")))
            continue
        text = value if isinstance(value, str) else value.decode("latin-1")
        if not _VALUE.fullmatch(text):
            raise ValueError(f"the value of {key} has characters other than printable ASCII")
        fields.append((name, text.strip(" ").encode()))
    return fields


def decode_metadata(fields: Headers) -> Metadata:
    """The metadata among header fields. Raises `CallFailure` for binary values that are not base64."""
    pairs: list[tuple[str, str | bytes]] = []
    for name, value in fields:
        if name in _OWN or name.startswith(b":"):
            continue
        key = _decode_key(name)
        if key.endswith("-bin"):
            pairs += [(key, _decode_base64(part)) for part in value.split(b",")]
        else:
            pairs.append((key, value.decode("latin-1")))
    return tuple(pairs)


def check_header_list(fields: Headers, limit: int) -> None:
    """Raises `CallFailure` for more metadata than allowed."""
    # As RFC 9113 counts.
    if sum(len(name) + len(value) + 32 for name, value in fields) > limit:
        raise CallFailure(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the metadata is larger than {limit} bytes")


def encode_timeout(seconds: float) -> bytes:
    """A timeout as the field `grpc-timeout` has it, rounded up."""
    for unit, scale in ((b"u", 1e6), (b"m", 1e3), (b"S", 1.0)):
        if (number := seconds * scale) <= _MAX_TIMEOUT_NUMBER:
            return b"%d%b" % (max(-int(-number // 1), 0), unit)
    return b"%dS" % _MAX_TIMEOUT_NUMBER


def decode_timeout(value: bytes) -> float:
    """Seconds. Raises `CallFailure` if it is not gRPC's notation."""
    if not (found := _TIMEOUT.fullmatch(value)):
        raise CallFailure(grpc.StatusCode.INTERNAL, "grpc-timeout is up to eight digits and a unit")
    return int(found[1]) * _SECONDS_PER_UNIT[found[2]]


def encode_details(details: str) -> bytes:
    """A status message as the field `grpc-message` has it."""
    text = quote(details, safe=_PLAIN)
    kept = text.strip(" ")
    if kept == text:
        return text.encode()
    begin = len(text) - len(text.lstrip(" "))
    return ("%20" * begin + kept + "%20" * (len(text) - begin - len(kept))).encode()


def decode_details(value: bytes) -> str:
    return unquote_to_bytes(value).decode(errors="replace")


def decode_code(value: bytes) -> grpc.StatusCode:
    try:
        return _CODES.get(int(value), grpc.StatusCode.UNKNOWN)
    except ValueError:
        return grpc.StatusCode.UNKNOWN


@lru_cache(1024)
def _encode_key(key: str) -> bytes:
    if not _KEY.fullmatch(key) or key.startswith("grpc-") and key != "grpc-status-details-bin":
        raise ValueError(f"metadata cannot be named {key!r}")
    return key.encode()


@lru_cache(1024)
def _decode_key(name: bytes) -> str:
    return name.decode("latin-1")


def _decode_base64(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        raise CallFailure(grpc.StatusCode.INTERNAL, "binary metadata is not base64") from None
