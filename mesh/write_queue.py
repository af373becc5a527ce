"""Writes what calls leave behind in batches, off their path."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Generic, TypeVar

import structlog

from mesh.periodic import run_periodically

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class WriteQueue(Generic[T]):
    """Takes items, and writes them in their order while `run` runs. What cannot be written, for whatever reason, waits to be tried again.

    write: writes a batch; it may get items again that it has written, if it failed or was cancelled meanwhile
    lose: called for an item for which there is no room
    interval_seconds: between two writings
    batch: the most items in one call of `write`
    limit: how many items wait at most
    collect: further items, which are taken before each writing
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[None]],
        lose: Callable[[T], None],
        *,
        interval_seconds: float,
        batch: int,
        limit: int,
        collect: Callable[[], Iterable[T]] = tuple,
    ) -> None:
        self._write = write
        self._lose = lose
        self._interval_seconds = interval_seconds
        self._batch = batch
        self._limit = limit
        self._collect = collect
        self._waiting: deque[T] = deque()

    def add(self, item: T) -> None:
        """Takes an item; if too many wait, it is lost."""
        if len(self._waiting) < self._limit:
            self._waiting.append(item)
        else:
            self._lose(item)

    async def run(self) -> None:
        """Writes items until cancelled, and then what is left, if that succeeds."""
        name = self._write.__qualname__
        try:
            await run_periodically(self._write_waiting, self._interval_seconds, name=name)
        finally:
            try:
                await self._write_waiting()
            except Exception:  # noqa: BLE001 the process ends, and its other parts are to end as they would
                _log.exception("the last items are not written", work=name, count=len(self._waiting))

    async def _write_waiting(self) -> None:
        for item in self._collect():
            self.add(item)
        while self._waiting:
            batch = list(islice(self._waiting, self._batch))
            await self._write(batch)
            for _ in batch:
                self._waiting.popleft()
