"""The header blocks with which a peer ends its streams, kept for the case that libnghttp2 refuses one without saying what was in it."""

from collections.abc import Sequence

import hpack

Headers = Sequence[tuple[bytes, bytes]]

_HEADER_BYTES = 9
_MAX_LIST_BYTES = 64 * 1024
_HEADERS, _CONTINUATION = 1, 9
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x4, 0x8, 0x20


class HeaderBlocks:
    """Follows the frames of a peer that compresses each header block by itself (its dynamic table has no room)."""

    def __init__(self) -> None:
        self._skip = 0
        self._rest = b""
        self._blocks: dict[int, bytes] = {}
        self._unfinished = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the connection, which libnghttp2 has found to be whole frames of allowed sizes."""
        if self._rest:
            data = self._rest + data
        position, end = self._skip, len(data)
        while position + _HEADER_BYTES <= end:
            size, kind = int.from_bytes(data[position : position + 3], "big"), data[position + 3]
            if kind in (_HEADERS, _CONTINUATION):
                if position + _HEADER_BYTES + size > end:
                    break
                self._keep(kind, data[position + 4], data[position + 5 : position + _HEADER_BYTES + size])
            position += _HEADER_BYTES + size
        self._skip = max(position - end, 0)
        self._rest = data[position:]

    def pop(self, stream_id: int) -> bytes | None:
        """The block with which the peer ended this stream, or None if it did not."""
        return self._blocks.pop(stream_id, None)

    def _keep(self, kind: int, flags: int, frame: bytes) -> None:
        stream_id, payload = int.from_bytes(frame[:4], "big"), frame[4:]
        if kind == _HEADERS:
            if not flags & _END_STREAM:
                return
            if flags & _PADDED and payload:
                payload = payload[1 : len(payload) - payload[0]]
            self._blocks[stream_id] = payload[5:] if flags & _PRIORITY else payload
        elif stream_id in self._blocks:
            self._blocks[stream_id] += payload


def fields(block: bytes) -> Headers:
    """The fields of a block; none if it cannot be read."""
    try:
        return [(bytes(name), bytes(value)) for name, value in hpack.Decoder(max_header_list_size=_MAX_LIST_BYTES).decode(block, raw=True)]
    except hpack.HPACKError:
        return ()
