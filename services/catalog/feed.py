"""The feed of changes: read from the database once, for all who watch products."""

import asyncio
from collections import deque
from itertools import islice

from mesh.change_feed import ChangeReader
from mesh.database import Database
from mesh.errors import OutOfRange
from services.catalog.domain import Change
from services.catalog.repository.changes import CHANNEL, ChangeRepository
from services.catalog.watch_tokens import WatchTokens, invalid_token

_BUFFER_SIZE = 1000
_BATCH_SIZE = 100
_POLL_SECONDS = 0.25


class ChangeFeed:
    """The changes as they are made. The latest are buffered in memory; a watcher who is further behind gets them from the database."""

    def __init__(self, changes: ChangeRepository, database: Database) -> None:
        self._changes = changes
        self._reader = ChangeReader(database, CHANNEL, self._read, _POLL_SECONDS)
        self._buffer: deque[Change] = deque(maxlen=_BUFFER_SIZE)
        self._last_number: int | None = None
        """The number of the last change that was read; None until the end of the log has been read."""
        self._advanced = asyncio.Event()

    async def last_number(self) -> int:
        """The number of the last change that was read. Waits until the database can be reached."""
        while self._last_number is None:
            await self._advanced.wait()
        return self._last_number

    async def resume(self, token: str) -> tuple[int, WatchTokens]:
        """The number of the last change that the token covers, or of the last change of all if it is empty; and the log's tokens.

        Raises `InvalidArgument` if the token is not from this log, `OutOfRange` if the changes after it have expired.
        """
        log = await self._changes.log()
        tokens = WatchTokens(log.secret)
        if not token:
            return log.last_number, tokens
        number = tokens.read(token)
        if number > log.last_number:
            raise invalid_token()
        if number < (log.last_number if log.first_number is None else log.first_number - 1):
            raise _expired_token()
        return number, tokens

    async def after(self, number: int) -> list[Change]:
        """Some of the changes after this one, in order; waits until there are any. Raises `OutOfRange` if they have expired."""
        while self._last_number is None or number >= self._last_number:
            await self._advanced.wait()
        known = len(self._buffer) - (self._last_number - number)
        if known >= 0:
            return list(islice(self._buffer, known, known + _BATCH_SIZE))
        following = await self._changes.after(number, _BATCH_SIZE)
        if not following or following[0].number > number + 1:
            raise _expired_token()
        return following

    async def run(self) -> None:
        """Reads the changes until cancelled."""
        await self._reader.run()

    async def _read(self) -> None:
        if self._last_number is None:
            self._advance((await self._changes.log()).last_number)
        while changes := await self._changes.after(await self.last_number(), _BATCH_SIZE):
            self._buffer.extend(changes)
            self._advance(changes[-1].number)

    def _advance(self, last_number: int) -> None:
        self._last_number = last_number
        self._advanced.set()
        self._advanced = asyncio.Event()


def _expired_token() -> OutOfRange:
    return OutOfRange("WATCH_TOKEN_EXPIRED", "the changes after this token have expired")
