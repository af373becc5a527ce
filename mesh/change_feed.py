"""Follows what changes in the database."""

import asyncio
from collections.abc import Awaitable, Callable

from mesh.database import Database
from mesh.errors import Unavailable
from mesh.periodic import run_periodically


class ChangeReader:
    """Reads changes when PostgreSQL notifies of some, and at intervals regardless: a notification may be lost, or impossible.

    database: where the changes are
    channel: the channel that is notified in each transaction that makes a change
    read: reads what has changed since it ran last
    interval_seconds: between two readings without a notification
    concerns: whether a notification with this payload calls for a reading
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        read: Callable[[], Awaitable[None]],
        interval_seconds: float,
        concerns: Callable[[str], bool] = lambda _payload: True,
    ) -> None:
        self._database = database
        self._channel = channel
        self._read = read
        self._interval_seconds = interval_seconds
        self._concerns = concerns
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Reads soon, without waiting for a notification."""
        self._wake.set()

    async def run(self) -> None:
        """Reads changes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(run_periodically(self._read, self._interval_seconds, self._wake))
            if self._database.can_listen:
                group.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                async with self._database.listen(self._channel) as payloads:
                    async for payload in payloads:
                        if self._concerns(payload):
                            self._wake.set()
            except Unavailable:
                await asyncio.sleep(self._interval_seconds)
