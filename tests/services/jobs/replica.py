"""A replica of the jobs service within the tests, and what a worker does to its jobs, by hand."""

import asyncio
from datetime import UTC, datetime, timedelta

from mesh import database
from mesh.paging import PageTokens
from mesh.settings import MeshSettings
from services.jobs.domain import Failure, Job, JobState, RetryPolicy
from services.jobs.feed import JobFeed
from services.jobs.leases import LeaseRepository
from services.jobs.logs import LogRepository, NewLogLine
from services.jobs.repository import JobRepository
from services.jobs.servicer import JobsServicer
from tests.loops import Loop

SECRET = b"the same for all replicas, and long enough"
MAX_LINES = 30
TIME_ZONE = "Europe/London"


class JobsReplica:
    """The parts of the service, running on a loop."""

    def __init__(self, loop: Loop, database_url: str, settings: MeshSettings) -> None:
        self._loop = loop
        self._holders: dict[str, str] = {}
        loop.run(self._start(database_url, settings))

    def stop(self) -> None:
        self._loop.run(self._stop())

    def claim(self, holder: str = "worker") -> Job | None:
        job = self._loop.run(self._leases().claim(holder))
        if job:
            self._holders[job.id] = holder
        return job

    def expire(self, job: Job, holder: str = "worker") -> None:
        """The holder's lease runs out, as if the worker had died."""
        assert self._loop.run(self._leases(timedelta(0)).renew(job.id, holder))

    def log(self, id: str, *texts: str, holder: str = "worker") -> None:
        lines = [NewLogLine(datetime.now(UTC), "driver", text) for text in texts]
        self._loop.run(self._logs.append(id, holder, lines, {}, MAX_LINES))

    def expire_logs(self, age: timedelta = timedelta(0)) -> None:
        self._loop.run(self._logs.delete_expired(age))

    def save(self, job: Job, holder: str = "worker") -> Job | None:
        """Saves a job as its holder; returns it as it is then, or None if another holds it."""
        self._loop.run(self._leases().save(job, holder))
        lease = self._loop.run(self._leases().renew(job.id, holder))
        return lease.job if lease else None

    def succeed(self, job: Job) -> None:
        self.save(job.complete_etl({"row_count": 3, "rejects": []}, datetime.now(UTC)))

    def complete_etls(self, *ids: str, holder: str = "cleaner") -> None:
        """Completes the ETLs of these jobs, which are all that are due, and releases the jobs."""
        for id in ids:
            job = self.claim(holder)
            assert job is not None and job.id == id
            self.save(job.complete_etl({"row_count": 3, "rejects": []}, datetime.now(UTC)), holder)
        for id in ids:
            self._loop.run(self._leases().release(id, holder))

    def retry_at_once(self, job: Job) -> None:
        failure = Failure("ENGINE_UNAVAILABLE", "YARN cannot be reached")
        self.save(RetryPolicy(9, timedelta(0), timedelta(0), timedelta(1)).retry(job, failure, datetime.now(UTC)))

    def end_all(self) -> None:
        """Cancels every job that was submitted before."""
        for id, holder in self._holders.items():
            self._loop.run(self._leases().release(id, holder))
        while job := self.claim():
            self.save(job.end(JobState.CANCELLED, datetime.now(UTC)))

    def _leases(self, duration: timedelta = timedelta(minutes=1)) -> LeaseRepository:
        return LeaseRepository(self.database, duration)

    async def _start(self, database_url: str, settings: MeshSettings) -> None:
        self.database = await database.connect(database_url, settings)
        jobs, self._logs = JobRepository(self.database), LogRepository(self.database)
        feed = JobFeed(jobs, self._logs, self.database)
        self.servicer = JobsServicer(jobs, self._logs, feed, PageTokens(SECRET), TIME_ZONE)
        self._tasks = [asyncio.create_task(feed.run())]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.database.close()
