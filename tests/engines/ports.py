"""Free ports, and settings of a stack that uses them."""

import os
import random
from pathlib import Path

from stack import ports
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
            taken = range(self._next, self._next + count)
            self._next += count
            if ports.are_free(taken):
                return taken


_ports = _Ports()


def own_settings(folder: Path) -> Settings:
    """Settings of a stack with a folder and ports of its own."""
    return ports.settings_with_ports(folder, free_ports(ports.COUNT))


def free_ports(count: int) -> range:
    """Consecutive free ports of the loopback."""
    return _ports.take(count)


def free_port() -> int:
    """A free port of the loopback."""
    return free_ports(1)[0]
