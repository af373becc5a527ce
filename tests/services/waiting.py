"""Waits for what a service does in its own time."""

import time
from collections.abc import Callable

_DEADLINE_SECONDS = 30
_POLL_SECONDS = 0.02


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds, and fails if it does not within 30 seconds."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(_POLL_SECONDS)
