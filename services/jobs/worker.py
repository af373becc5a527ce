"""Carries jobs out, one at a time: `python -m services.jobs.worker`. As many may run as one likes, and each may die at any time."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from secrets import token_hex

import httpx
import structlog

from mesh import database, telemetry
from mesh.errors import Unavailable
from mesh.settings import MeshSettings
from services.jobs import package
from services.jobs.domain import HELD, Failure, Job, Retries
from services.jobs.etl import Engines, Etl, Terms
from services.jobs.joblog import JobLog
from services.jobs.repository import LeaseRepository
from services.jobs.results import Results
from services.jobs.settings import WorkerSettings
from services.jobs.submission import Spark
from services.jobs.yarn import EngineUnavailable, Yarn

log = structlog.get_logger(__name__)

# What a job is carried on by, in the hands of a holder.
Begin = Callable[[Job, str], Etl]


class Worker:
    """Claims a job, carries it on until it has ended, waits, or is another's, and claims the next."""

    def __init__(self, leases: LeaseRepository, begin: Begin, retries: Retries, lease: timedelta, tick_seconds: float) -> None:
        self._leases = leases
        self._begin = begin
        self._retries = retries
        self._lease_seconds = lease.total_seconds()
        self._tick_seconds = tick_seconds

    async def work(self) -> None:
        """Works, for as long as it is let."""
        while True:
            # A name for each time that a job is held: what was begun under an older one is another's.
            holder = token_hex(8)
            try:
                job = await self._leases.claim(holder)
            except Unavailable:
                log.warning("nothing claimed")
                job = None
            if job:
                log.info("claimed", job_id=job.id, attempt=job.attempt_count)
                await self._carry(job, holder)
            else:
                await asyncio.sleep(self._tick_seconds)

    async def _carry(self, job: Job, holder: str) -> None:
        work = self._begin(job, holder)
        holding = asyncio.create_task(self._hold(job.id, holder))
        try:
            while await self._advance(work, job.id, holder):
                await asyncio.sleep(self._tick_seconds)
        finally:
            holding.cancel()
            await work.close()
            with suppress(Unavailable):
                await self._leases.release(job.id, holder)

    async def _advance(self, work: Etl, id: str, holder: str) -> bool:
        """Goes a step further; whether there is more to do."""
        try:
            held = await self._leases.renew(id, holder)
            if held is None or held.job.state not in HELD:
                log.info("left", job_id=id, state=held.job.state if held else "lost")
                return False
            try:
                job = await work.step(held.job, held.now)
            except EngineUnavailable as error:
                log.warning("engine unavailable", job_id=id, error=str(error))
                if held.job.submitter:
                    return True
                # Nothing was begun, so that others may have their turn.
                job = self._retries.after(Failure("ENGINE_UNAVAILABLE", str(error)), held.job, held.now)
            if job != held.job:
                await self._leases.save(job, holder)
        except Unavailable:
            # Without the database nobody takes the job over either.
            log.warning("database unavailable", job_id=id)
        except Exception:
            # This is the edge. The job stays as it is, and how long it may take is limited.
            log.exception("fault", job_id=id)
        return True

    async def _hold(self, id: str, holder: str) -> None:
        """Keeps the job while a step takes its time."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            with suppress(Unavailable):
                await self._leases.renew(id, holder)


async def main() -> None:
    settings, mesh = WorkerSettings(), MeshSettings()
    telemetry.start("jobs-worker", mesh)
    # It tells of every request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    lease = timedelta(seconds=settings.lease_seconds)
    retries = Retries(settings.attempts, timedelta(seconds=settings.retry_seconds), timedelta(seconds=settings.longest_retry_seconds))
    # What Spark is told of the world is all that the worker is, but for our own settings.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "MESH_"))}
    spark = Spark(
        settings.spark_home, settings.hadoop_jars, settings.spark_properties, environment, timedelta(seconds=settings.submit_seconds)
    )
    results = Results(settings.store_url, settings.store_region, settings.lake_bucket)
    secrets = [results.secret_key, settings.database_url.hosts()[0]["password"] or ""]
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "code.zip"
        package.pack(code)
        async with (
            await database.connect(str(settings.database_url), mesh) as postgres,
            httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=True) as http,
        ):
            engines = Engines(Yarn(http, settings.yarn_url, settings.yarn_user), spark, results)
            terms = Terms(code, settings.etl_arguments, retries, timedelta(seconds=settings.job_seconds))
            leases = LeaseRepository(postgres, lease, settings.log_lines_kept)

            def begin(job: Job, holder: str) -> Etl:
                return Etl(engines, terms, JobLog(leases, job.id, holder, secrets), holder)

            work = asyncio.create_task(Worker(leases, begin, retries, lease, settings.tick_seconds).work())
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, work.cancel)
            with suppress(asyncio.CancelledError):
                await work


_TIMEOUT_SECONDS = 5

if __name__ == "__main__":
    asyncio.run(main())
