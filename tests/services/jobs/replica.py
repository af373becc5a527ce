"""A replica of the jobs service inside of the tests, and a hand that does what a worker does to its jobs."""

import asyncio
from datetime import UTC, datetime, timedelta

from mesh import database
from mesh.paging import PageTokens
from mesh.settings import MeshSettings
from services.jobs.domain import Failure, Job, Limits, State
from services.jobs.feed import JobFeed
from services.jobs.repository import JobRepository, LeaseRepository, NewLine
from services.jobs.servicer import JobsServicer
from tests.loops import Loop

SECRET = b"the same for all replicas, and long enough"
LINES_KEPT = 30


class Replica:
    """Its parts, at work on a loop."""

    def __init__(self, loop: Loop, database_url: str, settings: MeshSettings) -> None:
        self._loop = loop
        self._holders: dict[str, str] = {}
        loop.run(self._start(database_url, settings))

    def stop(self) -> None:
        self._loop.run(self._stop())

    def claim(self, holder: str = "worker", lease_seconds: float = 60) -> Job | None:
        job = self._loop.run(self._leases(lease_seconds).claim(holder))
        if job:
            self._holders[job.id] = holder
        return job

    def log(self, id: str, *texts: str, holder: str = "worker") -> None:
        lines = [NewLine(datetime.now(UTC), "driver", text) for text in texts]
        self._loop.run(self._leases().append(id, holder, lines, {}))

    def save(self, job: Job, holder: str = "worker") -> Job | None:
        """The job as it stands after a worker wanted to make this of it; None if it is no longer the worker's."""
        self._loop.run(self._leases().save(job, holder))
        held = self._loop.run(self._leases().renew(job.id, holder))
        return held.job if held else None

    def succeed(self, job: Job) -> None:
        self.save(job.cleaned({"row_count": 3, "rejects": []}, datetime.now(UTC)))

    def clean(self, *ids: str, holder: str = "cleaner") -> None:
        """Does the ETLs of these jobs, which are all there is to do, and leaves the rest to others."""
        for id in ids:
            job = self.claim(holder)
            assert job is not None and job.id == id
            self.save(job.cleaned({"row_count": 3, "rejects": []}, datetime.now(UTC)), holder)
        for id in ids:
            self._loop.run(self._leases().release(id, holder))

    def try_again_at_once(self, job: Job) -> None:
        failure = Failure("ENGINE_UNAVAILABLE", "YARN cannot be reached")
        self.save(Limits(9, timedelta(0), timedelta(0), timedelta(1)).retried(job, failure, datetime.now(UTC)))

    def end_all(self) -> None:
        """Nothing of what was submitted before is left to do."""
        for id, holder in self._holders.items():
            self._loop.run(self._leases().release(id, holder))
        while job := self.claim():
            self.save(job.at_end(State.CANCELLED, datetime.now(UTC)))

    def _leases(self, lease_seconds: float = 60) -> LeaseRepository:
        return LeaseRepository(self.database, timedelta(seconds=lease_seconds), LINES_KEPT)

    async def _start(self, database_url: str, settings: MeshSettings) -> None:
        self.database = await database.connect(database_url, settings)
        jobs = JobRepository(self.database)
        feed = JobFeed(jobs, self.database)
        self.servicer = JobsServicer(jobs, feed, PageTokens(SECRET))
        self._work = [asyncio.create_task(feed.run())]

    async def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.database.close()
