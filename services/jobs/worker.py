"""Carries jobs out, one at a time: `python -m services.jobs.worker`. As many may run as one likes, and each may die at any time."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import structlog

from hashiramart.auth.v1 import auth_pb2
from hashiramart.recommender.v1 import recommender_pb2
from mesh import channel, database, telemetry
from mesh.errors import Unavailable
from mesh.identity import ServiceToken
from mesh.settings import MeshSettings, read
from ml.registry.client import RegistryClient, registered_name
from services.jobs import package
from services.jobs.domain import HELD, Failure, Job, Limits
from services.jobs.etl import Engines, Etl, Terms
from services.jobs.events import EventExport
from services.jobs.joblog import JobLog
from services.jobs.raw_zone import RawZone
from services.jobs.repository import LeaseRepository
from services.jobs.results import Results
from services.jobs.settings import WorkerSettings
from services.jobs.submission import Spark
from services.jobs.training import Pipeline, Training
from services.jobs.yarn import EngineUnavailable, Yarn

log = structlog.get_logger(__name__)


class Work(NamedTuple):
    """What a job is carried on by, in the hands of a holder: by its ETL, and when that has ended well, by its training."""

    etl: Etl
    training: Training

    async def step(self, job: Job, now: datetime) -> Job:
        """The job, a little further. May raise `EngineUnavailable`; then the job is as it was."""
        return await (self.etl if job.etl is None else self.training).step(job, now)

    async def close(self) -> None:
        """Leaves the job."""
        await self.etl.close()
        await self.training.close()


Begin = Callable[[Job, str], Work]


class Worker:
    """Claims a job, carries it on until it has ended, waits, or is another's, and claims the next."""

    def __init__(self, leases: LeaseRepository, begin: Begin, limits: Limits, lease: timedelta, tick_seconds: float) -> None:
        self._leases = leases
        self._begin = begin
        self._limits = limits
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

    async def _advance(self, work: Work, id: str, holder: str) -> bool:
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
                job = self._limits.retried(held.job, Failure("ENGINE_UNAVAILABLE", str(error)), held.now)
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
    settings, mesh = read(WorkerSettings), read(MeshSettings)
    telemetry.start("jobs-worker", mesh)
    lease = timedelta(seconds=settings.lease_seconds)
    waits = timedelta(seconds=settings.retry_seconds), timedelta(seconds=settings.longest_retry_seconds)
    limits = Limits(settings.attempts, *waits, timedelta(seconds=settings.job_seconds))
    # What Spark and the training are told of the world is all that the worker is, but for our own settings.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "MESH_"))}
    spark = Spark(
        settings.spark_home, settings.hadoop_jars, settings.spark_properties, environment, timedelta(seconds=settings.submit_seconds)
    )
    results = Results(settings.store_url, settings.store_region, settings.lake_bucket)
    training_environment = environment | settings.training_environment
    pipeline = Pipeline(settings.training_python, settings.training_checkout, settings.training_folder, training_environment)
    async with AsyncExitStack() as open_things:
        code = Path(open_things.enter_context(tempfile.TemporaryDirectory())) / "code.zip"
        package.pack(code)
        postgres = await open_things.enter_async_context(await database.connect(str(settings.database_url), mesh))
        http = await open_things.enter_async_context(httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=True))
        events = None
        if settings.recommender_address and settings.service_secret:
            auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
            token = ServiceToken(await open_things.enter_async_context(auth), "jobs", settings.service_secret.get_secret_value())
            service = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]
            recommender = channel.connect(settings.recommender_address, service, mesh, token.proof)
            raw_zone = RawZone(http, settings.webhdfs_url, settings.yarn_user, urlsplit(settings.raw_root).path)
            events = EventExport(await open_things.enter_async_context(recommender), raw_zone)
        else:
            log.warning("recorded events stay where they are: it is not set where the recommender is, and by which secret it is asked")
        engines = Engines(Yarn(http, settings.yarn_url, settings.yarn_user), spark, results, events)
        terms = Terms(code, settings.etl_arguments, limits)
        leases = LeaseRepository(postgres, lease, settings.log_lines_kept)
        secrets = [results.secret_key, *settings.secrets]

        def begin(job: Job, holder: str) -> Work:
            job_log = JobLog(leases, job.id, holder, secrets)
            return Work(Etl(engines, terms, job_log, holder), Training(pipeline, versions, limits, job_log))

        def versions(model: str) -> RegistryClient:
            return RegistryClient(http, settings.mlflow_url, registered_name(model))

        work = asyncio.create_task(Worker(leases, begin, limits, lease, settings.tick_seconds).work())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        with suppress(asyncio.CancelledError):
            await work


_TIMEOUT_SECONDS = 5

if __name__ == "__main__":
    asyncio.run(main())
