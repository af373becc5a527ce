"""Clients that send a byte now and then, to keep connections from others."""

import select
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

HEADERS = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: "
BODY = b"POST /everything HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{"


class Dribblers:
    """Connections from given addresses, which send a first piece, and then a space each interval."""

    def __init__(self, url: str, addresses: Sequence[str], first: bytes, interval_seconds: float) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._server = (host, int(port))
        self._first = first
        self._interval = interval_seconds
        self._ended = threading.Event()
        self._wires = [self._connect(address) for address in addresses]
        self._open = set(self._wires)
        self.closed = 0
        """How many the server has closed."""

    def run(self) -> None:
        while not self._ended.wait(self._interval):
            readable = select.poll()
            for wire in self._open:
                readable.register(wire, select.POLLIN)
            by_number = {wire.fileno(): wire for wire in self._open}
            for number, _ in readable.poll(0):
                self._drop_if_closed(by_number[number])
            for wire in self._open:
                with suppress(OSError):
                    wire.send(b" ")

    def stop(self) -> None:
        self._ended.set()

    def close(self) -> None:
        for wire in self._wires:
            wire.close()

    def _connect(self, address: str) -> socket.socket:
        wire = socket.socket()
        wire.setblocking(False)
        wire.bind((address, 0))
        with suppress(BlockingIOError):
            wire.connect(self._server)
        threading.Event().wait(0.001)
        with suppress(OSError):
            wire.send(self._first)
        return wire

    def _drop_if_closed(self, wire: socket.socket) -> None:
        try:
            if wire.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.closed += 1
        self._open.discard(wire)


@contextmanager
def dribbling(url: str, addresses: Sequence[str], first: bytes, interval_seconds: float = 0.5) -> Iterator[Dribblers]:
    """Dribbles for the length of a `with` block."""
    dribblers = Dribblers(url, addresses, first, interval_seconds)
    thread = threading.Thread(target=dribblers.run)
    thread.start()
    try:
        yield dribblers
    finally:
        dribblers.stop()
        thread.join()
        dribblers.close()
