"""The connections of a worker, which it closes if they keep a place that others need.

The HTTP server has no limit per client, and one deadline for an idle connection and for slow headers (hyperium/hyper#3828). The kernel
knows what each connection did last, so that watching them costs the requests nothing.
"""

import asyncio
import os
import socket
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import structlog

from gateway.asgi import Scope
from mesh.client_address import Networks, counted_network, parse_address

WATCH_SECONDS = 1.0
# How many looks in a row may find a connection's next request begun and not complete, before it is closed.
MAX_LOOKS_AT_HEADERS = 10
# From this share of all connections on, those that were answered longest ago are closed, until the other share is left.
_CROWDED, _UNCROWDED = 0.9, 0.5

_DESCRIPTORS = Path("/proc/self/fd")
# struct tcp_info of Linux: the state, then, in milliseconds, how long ago data was last sent and received.
_TCP_INFO = struct.Struct("=B43xI4xI")
_ESTABLISHED = 1

log = structlog.get_logger()

Peer: TypeAlias = tuple[str, int]
"""The client's end of a connection: host and port."""


Key = TypeVar("Key", bound=Hashable)


def peer_of(scope: Scope) -> Peer:
    """The client's end of a request's connection, as the kernel has it: the HTTP server gives the port as text."""
    host, port = scope["client"]
    return host, int(port)


class RequestCounts(Counter[Key]):
    """How many requests of each client are under way.

    A client may send its next request before the handler of the one before has returned, so that both count for a moment.
    """

    def add(self, client: Key) -> None:
        self[client] += 1

    def remove(self, client: Key) -> None:
        self[client] -= 1
        if not self[client]:
            del self[client]


class _OpenConnection(NamedTuple):
    socket: socket.socket
    peer: Peer
    sent_ms: int
    """How long ago data was last sent; for a connection without a response so far, how long ago it was opened."""
    is_reading_headers: bool
    """Whether the next request has begun, and its headers are not complete. One that begins within milliseconds of the response
    before is not seen: it has the time of an idle connection."""
    is_calling: bool
    """Whether a request has been read, and its response is not complete."""


class Connections:
    """Watches the connections to a port."""

    def __init__(self, port: int, max_total: int, max_per_address: int, trusted_proxies: Networks) -> None:
        self.busy = RequestCounts[Peer]()
        """The clients with a request under way, from its headers to the end of its response."""
        self.uploading = RequestCounts[Peer]()
        """Those of them whose body is being read."""
        self._port = port
        self._max_total = max_total
        self._max_per_address = max_per_address
        self._trusted_proxies = trusted_proxies
        self._address = lru_cache(4096)(self._counted_address)
        self._looks_at_headers: dict[Peer, int] = {}
        self._last_look = 0.0

    async def watch(self) -> None:
        """Closes connections until cancelled: those with slow headers, and those beyond the limits."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                # Copies, as the look is another thread's.
                closed = await asyncio.to_thread(self._look, frozenset(self.busy), frozenset(self.uploading))
            except Exception:
                log.exception("connections not watched")
            else:
                if closed:
                    log.warning("connections closed", **closed)

    def _look(self, busy: frozenset[Peer], uploading: frozenset[Peer]) -> dict[str, int]:
        """Closes connections, and returns how many by reason."""
        connections = list(_connections(self._port, busy, uploading))
        try:
            slow = self._slow(connections)
            # The last of each list is closed first: what waits for its client, and of that what was answered longest ago.
            by_age = sorted((c for c in connections if c not in slow), key=lambda c: (not c.is_calling, c.sent_ms))
            by_address: defaultdict[str, list[_OpenConnection]] = defaultdict(list)
            for connection in by_age:
                by_address[self._address(connection.peer[0])].append(connection)
            by_address.pop("", None)
            surplus = {c for of_address in by_address.values() for c in of_address[self._max_per_address :]}
            left = [c for c in by_age if c not in surplus]
            is_crowded = len(left) > _CROWDED * self._max_total
            crowding = [c for c in left[round(_UNCROWDED * self._max_total) :] if not c.is_calling] if is_crowded else []
            for connection in (*slow, *surplus, *crowding):
                with suppress(OSError):  # The client was faster.
                    connection.socket.shutdown(socket.SHUT_RDWR)
        finally:
            for connection in connections:
                connection.socket.close()
        counted = {"slow_headers": len(slow), "beyond_limit_of_address": len(surplus), "beyond_limit": len(crowding)}
        return {reason: count for reason, count in counted.items() if count}

    def _slow(self, connections: list[_OpenConnection]) -> set[_OpenConnection]:
        """The connections whose next request has begun, and is not complete after many looks."""
        waiting = {c.peer: c for c in connections if c.is_reading_headers}
        now = time.monotonic()
        # One that was answered since the last look has begun another request.
        same = {peer for peer, c in waiting.items() if c.sent_ms > (now - self._last_look) * 1000}
        self._looks_at_headers = {peer: self._looks_at_headers.get(peer, 0) * (peer in same) + 1 for peer in waiting}
        self._last_look = now
        return {waiting[peer] for peer, looks in self._looks_at_headers.items() if looks > MAX_LOOKS_AT_HEADERS}

    def _counted_address(self, host: str) -> str:
        """Where a connection counts; empty for one that counts nowhere: a proxy's, which has the connections of many."""
        address = parse_address(host)
        if address is None or any(address in network for network in self._trusted_proxies):
            return ""
        return counted_network(address)


def _connections(port: int, busy: frozenset[Peer], uploading: frozenset[Peer]) -> Iterator[_OpenConnection]:
    """The established connections of this process to a port, each with a socket of its own, to be closed."""
    for file in _DESCRIPTORS.iterdir():
        # Of a descriptor that another thread closes or uses again meanwhile, the copy stays what it is.
        with suppress(OSError, ValueError):
            copy = os.dup(int(file.name))
            try:
                connection = socket.socket(fileno=copy)
            except OSError:
                os.close(copy)
                continue
            if (found := _inspect(connection, port, busy, uploading)) is None:
                connection.close()
            else:
                yield found


def _inspect(connection: socket.socket, port: int, busy: frozenset[Peer], uploading: frozenset[Peer]) -> _OpenConnection | None:
    if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.type != socket.SOCK_STREAM:
        return None
    with suppress(OSError):
        if connection.getsockname()[1] == port:
            state, sent_ms, received_ms = _TCP_INFO.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
            if state == _ESTABLISHED:
                peer = connection.getpeername()[:2]
                is_busy = peer in busy
                return _OpenConnection(connection, peer, sent_ms, not is_busy and received_ms < sent_ms, is_busy and peer not in uploading)
    return None
