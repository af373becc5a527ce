"""Free ports, and settings of a stack that uses them."""

import os
import random
import socket
from pathlib import Path

from stack.engines import seaweedfs
from stack.settings import Settings

# Below the range from which the kernel takes ports of outgoing connections.
FIRST, LAST = 10_240, 32_000
# Each worker of a test run has a share of its own, so that two never choose the same port at the same time.
SHARES = 8


class _Ports:
    """Hands out ports in order, so that one is reused only after all others."""

    def __init__(self) -> None:
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
        size = (LAST - FIRST) // SHARES
        self._range = range(FIRST + worker * size, FIRST + (worker + 1) * size)
        # Another test run on this machine has the same shares.
        self._next = random.choice(self._range)  # noqa: S311 (no secret)

    def take(self, count: int) -> range:
        while True:
            if self._next + count > self._range.stop:
                self._next = self._range.start
            ports = range(self._next, self._next + count)
            self._next += count
            if all(map(_is_free, ports)):
                return ports


_ports = _Ports()


def own_settings(folder: Path) -> Settings:
    """Settings of a stack with a folder and ports of its own."""
    names = [name for name in Settings.model_fields if name.endswith("_port")]
    ports = free_ports(len(names) + seaweedfs.PORTS)
    values = dict(zip(names, ports, strict=False)) | {"seaweedfs_port": ports[-seaweedfs.PORTS]}
    return Settings.model_validate({"stack_folder": folder, **values})


def free_ports(count: int) -> range:
    """Consecutive free ports of the loopback."""
    return _ports.take(count)


def free_port() -> int:
    """A free port of the loopback."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
