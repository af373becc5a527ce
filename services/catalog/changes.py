"""The feed of changes: read from the database once, for all who follow it."""

import asyncio
from collections import deque
from itertools import islice

from mesh.change_feed import ChangeReader
from mesh.database import Database
from mesh.errors import OutOfRange
from services.catalog.repository import CHANNEL, Change, ChangeRepository
from services.catalog.watch_tokens import WatchTokens, not_ours


class ChangeFeed:
    """The changes, as they are made. The latest are held in memory; who is further behind is given them from the database."""

    def __init__(self, changes: ChangeRepository, database: Database) -> None:
        self._changes = changes
        self._reader = ChangeReader(database, CHANNEL, self._read, _POLL_SECONDS)
        self._latest: deque[Change] = deque(maxlen=_LATEST)
        # The number of the last change that was read. None before it is known where the feed begins.
        self._last_number: int | None = None
        self._grown = asyncio.Event()

    async def last_number(self) -> int:
        """The number of the last change, waiting for the database if need be."""
        while self._last_number is None:
            await self._grown.wait()
        return self._last_number

    async def begin(self, token: str) -> tuple[int, WatchTokens]:
        """The change up to which this token has seen them, or the last one if it is empty, and the tokens of this log.

        Raises `InvalidArgument` if the token is not one of these, `OutOfRange` if what follows is no longer kept.
        """
        log = await self._changes.log()
        tokens = WatchTokens(log.secret)
        if not token:
            return log.last_number, tokens
        number = tokens.read(token)
        if number > log.last_number:
            raise not_ours()
        if number < (log.last_number if log.first_number is None else log.first_number - 1):
            raise expired()
        return number, tokens

    async def after(self, number: int) -> list[Change]:
        """Some of the changes that follow this one, in their order; waits until there are any. Raises `OutOfRange` if they are not kept."""
        while self._last_number is None or number >= self._last_number:
            await self._grown.wait()
        known = len(self._latest) - (self._last_number - number)
        if known >= 0:
            return list(islice(self._latest, known, known + _BATCH))
        following = await self._changes.after(number, _BATCH)
        if not following or following[0].number > number + 1:
            raise expired()
        return following

    async def run(self) -> None:
        """Reads the changes until cancelled."""
        await self._reader.run()

    async def _read(self) -> None:
        if self._last_number is None:
            self._grow((await self._changes.log()).last_number)
        while fresh := await self._changes.after(await self.last_number(), _BATCH):
            self._latest.extend(fresh)
            self._grow(fresh[-1].number)

    def _grow(self, last_number: int) -> None:
        self._last_number = last_number
        self._grown.set()
        self._grown = asyncio.Event()


def expired() -> OutOfRange:
    """The changes asked for are no longer kept."""
    return OutOfRange("WATCH_TOKEN_EXPIRED", "the changes after this token are no longer kept")


_LATEST = 1000
_BATCH = 100
_POLL_SECONDS = 0.25
