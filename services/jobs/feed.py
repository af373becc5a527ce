"""Feeds watched jobs to their watchers: each job is read from the database once, for all of them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

from mesh.change_feed import ChangeReader
from mesh.database import Database
from services.jobs.domain import Job, LogLine
from services.jobs.logs import LogRepository
from services.jobs.repository import CHANNEL, JobRepository

# Of each watched job, in memory.
LINES_IN_MEMORY = 1000
BATCH_SIZE = 200
POLL_SECONDS = 0.5


class JobFeed:
    """Changes and log lines of jobs. The latest lines of a watched job are in memory; a slower watcher gets them from the database."""

    def __init__(self, jobs: JobRepository, logs: LogRepository, database: Database) -> None:
        self._jobs = jobs
        self._logs = logs
        self._watched: dict[str, _WatchedJob] = {}
        self._reader = ChangeReader(database, CHANNEL, self._read, POLL_SECONDS, concerns=self._watched.__contains__)

    async def follow(self, id: str, after_line: int) -> AsyncIterator[Job | LogLine]:
        """The job, then each change of it and each log line after this number, until the job has ended.

        Raises `NotFound`, and `OutOfRange` if the next line has been deleted.
        """
        job = await self._jobs.get(id)
        # Raises before the first response if the lines have been deleted.
        await self._logs.list_lines(id, after_line, 1)
        yield job
        watched = self._watched.setdefault(id, _WatchedJob(job))
        watched.watcher_count += 1
        self._reader.wake()
        try:
            while True:
                updated = watched.updated
                current = watched.job
                while lines := watched.lines_after(after_line) or await self._older_lines(watched, after_line):
                    for line in lines:
                        yield line
                    after_line = lines[-1].number
                if current != job:
                    job = current
                    yield job
                if job.has_ended and watched.last_number is not None:
                    return
                await updated.wait()
        finally:
            watched.watcher_count -= 1
            if not watched.watcher_count:
                self._watched.pop(id, None)

    async def run(self) -> None:
        """Reads the watched jobs until cancelled."""
        await self._reader.run()

    async def _read(self) -> None:
        for id, watched in list(self._watched.items()):
            # The job before its lines: a job that has ended gets no more of them.
            job = await self._jobs.get(id)
            watched.update(job, await self._logs.list_latest_lines(id, watched.last_number or 0, LINES_IN_MEMORY))

    async def _older_lines(self, watched: "_WatchedJob", number: int) -> list[LogLine]:
        if watched.last_number is None or number >= watched.last_number:
            return []
        return await self._logs.list_lines(watched.job.id, number, BATCH_SIZE)


class _WatchedJob:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.watcher_count = 0
        self.updated = asyncio.Event()
        # The number of the last line that was read; None before the first read.
        self.last_number: int | None = None
        self._lines: deque[LogLine] = deque(maxlen=LINES_IN_MEMORY)

    def lines_after(self, number: int) -> list[LogLine]:
        """A batch of the lines that follow this number; empty if the next one is not in memory."""
        if not self._lines or number < self._lines[0].number - 1:
            return []
        place = number - self._lines[0].number + 1
        return list(islice(self._lines, place, place + BATCH_SIZE))

    def update(self, job: Job, lines: list[LogLine]) -> None:
        """Stores what was read: the job, and the lines after `last_number`, or the latest of them."""
        if job == self.job and not lines and self.last_number is not None:
            return
        self.job = job
        if lines and lines[0].number > (self.last_number or 0) + 1:
            self._lines.clear()
        self._lines.extend(lines)
        self.last_number = self._lines[-1].number if self._lines else 0
        self.updated.set()
        self.updated = asyncio.Event()
