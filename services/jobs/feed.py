"""The feed of jobs that are watched: each is read from the database once, for all who watch it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

from mesh.change_feed import ChangeReader
from mesh.database import Database
from services.jobs.domain import Job, LogLine
from services.jobs.repository import CHANNEL, JobRepository


class JobFeed:
    """What becomes of jobs. The latest lines of a watched job are held in memory; who is further behind is given them from the database."""

    def __init__(self, jobs: JobRepository, database: Database) -> None:
        self._jobs = jobs
        self._watched: dict[str, _Watched] = {}
        self._reader = ChangeReader(database, CHANNEL, self._read, _POLL_SECONDS, concerns=self._watched.__contains__)

    async def follow(self, id: str, after_line: int) -> AsyncIterator[Job | LogLine]:
        """The job, then each line of its log after this number and each change of the job, to its end.

        Raises `NotFound`, and `OutOfRange` if what follows the line is no longer kept.
        """
        job = await self._jobs.get(id)
        # What is known already to be expired is refused before anything is answered.
        await self._jobs.lines(id, after_line, 1)
        yield job
        watched = self._watched.setdefault(id, _Watched(job))
        watched.watchers += 1
        self._reader.wake()
        try:
            while True:
                grown = watched.grown
                current = watched.job
                while lines := watched.lines_after(after_line) or await self._missed(watched, after_line):
                    for line in lines:
                        yield line
                    after_line = lines[-1].number
                if current != job:
                    job = current
                    yield job
                if job.ended and watched.last_number is not None:
                    return
                await grown.wait()
        finally:
            watched.watchers -= 1
            if not watched.watchers:
                self._watched.pop(id, None)

    async def run(self) -> None:
        """Reads the watched jobs until cancelled."""
        await self._reader.run()

    async def _read(self) -> None:
        for id, watched in list(self._watched.items()):
            # The job before its lines: all of them are there before it has ended.
            job = await self._jobs.get(id)
            watched.grow(job, await self._jobs.newest_lines(id, watched.last_number or 0, _LATEST))

    async def _missed(self, watched: "_Watched", number: int) -> list[LogLine]:
        if watched.last_number is None or number >= watched.last_number:
            return []
        return await self._jobs.lines(watched.job.id, number, _BATCH)


class _Watched:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.watchers = 0
        self.grown = asyncio.Event()
        # The number of the last line that was read. None before the first reading.
        self.last_number: int | None = None
        self._lines: deque[LogLine] = deque(maxlen=_LATEST)

    def lines_after(self, number: int) -> list[LogLine]:
        """Some of the lines that follow, if they are held."""
        if not self._lines or number < self._lines[0].number - 1:
            return []
        place = number - self._lines[0].number + 1
        return list(islice(self._lines, place, place + _BATCH))

    def grow(self, job: Job, lines: list[LogLine]) -> None:
        """Takes in what was read: the job, and the lines that followed the last, or the newest of them."""
        if job == self.job and not lines and self.last_number is not None:
            return
        self.job = job
        if lines and lines[0].number > (self.last_number or 0) + 1:
            self._lines.clear()
        self._lines.extend(lines)
        self.last_number = self._lines[-1].number if self._lines else 0
        self.grown.set()
        self.grown = asyncio.Event()


_LATEST = 1000
_BATCH = 200
_POLL_SECONDS = 0.5
