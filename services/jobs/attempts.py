"""Claims jobs and carries out their attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from secrets import token_hex
from typing import NamedTuple

import structlog

from mesh.errors import Unavailable
from services.jobs.domain import HELD, Failure, Job, RetryPolicy
from services.jobs.errors import EngineUnavailable
from services.jobs.etl import EtlAttempt
from services.jobs.leases import Lease, LeaseRepository
from services.jobs.training import TrainingAttempt, uptime

log = structlog.get_logger(__name__)


class Attempt(NamedTuple):
    """A job's current attempt, advanced by the job's holder: first its ETL, then its training."""

    etl: EtlAttempt
    training: TrainingAttempt

    async def step(self, job: Job, now: datetime) -> Job:
        """Advances the job by one step. May raise `EngineUnavailable`; then the job is unchanged."""
        return await (self.etl if job.etl is None else self.training).step(job, now)

    async def close(self) -> None:
        """Ends the processes that were started for the job."""
        await self.etl.close()
        await self.training.close()


StartAttempt = Callable[[Job, str], Attempt]
"""Returns the attempt of a job for its holder."""


class Worker:
    """Claims a job, advances it until it has ended, waits or is lost to another worker, and claims the next."""

    def __init__(
        self,
        leases: LeaseRepository,
        start_attempt: StartAttempt,
        retry_policy: RetryPolicy,
        lease_seconds: float,
        tick_seconds: float,
    ) -> None:
        self._leases = leases
        self._start_attempt = start_attempt
        self._policy = retry_policy
        self._lease_seconds = lease_seconds
        self._tick_seconds = tick_seconds

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            # Each claim has a holder of its own, so that what an earlier claim of the same worker began counts as another's.
            holder = token_hex(8)
            try:
                job = await self._leases.claim(holder)
            except Unavailable:
                log.warning("cannot claim a job: the database is unavailable")
                job = None
            if job:
                log.info("job claimed", job_id=job.id, attempt=job.attempt_count)
                await self._work_on(job, holder)
            else:
                await asyncio.sleep(self._tick_seconds)

    async def _work_on(self, job: Job, holder: str) -> None:
        attempt = self._start_attempt(job, holder)
        renewal = asyncio.create_task(self._keep_renewing(attempt, job.id, holder))
        try:
            while await self._advance(attempt, job.id, holder):
                await asyncio.sleep(self._tick_seconds)
        finally:
            renewal.cancel()
            await attempt.close()
            with suppress(Unavailable):
                await self._leases.release(job.id, holder)

    async def _advance(self, attempt: Attempt, id: str, holder: str) -> bool:
        """Advances a job by one step; returns whether there is more to do."""
        try:
            lease = await self._renew(attempt, id, holder)
            if lease is None or lease.job.state not in HELD:
                log.info("job released", job_id=id, state=lease.job.state if lease else "lost")
                return False
            job = await self._step(attempt, lease.job, lease.now)
            if job != lease.job:
                await self._leases.save(job, holder)
                _log_failure(lease.job, job)
        except Unavailable:
            # Without the database nobody else can take the job over.
            log.warning("database unavailable", job_id=id)
        except Exception:
            # The worker must outlive a bug. The job stays unchanged, until it times out.
            log.exception("internal error", job_id=id)
        return True

    async def _step(self, attempt: Attempt, job: Job, now: datetime) -> Job:
        try:
            return await attempt.step(job, now)
        except EngineUnavailable as error:
            log.warning("engine unavailable", job_id=job.id, error=str(error))
            if job.submitter:
                return job
            # Nothing was started, so that other jobs may have their turn.
            return self._policy.retry(job, Failure("ENGINE_UNAVAILABLE", str(error)), now)

    async def _renew(self, attempt: Attempt, id: str, holder: str) -> Lease | None:
        # Before the call: the lease ends no earlier than that.
        end = uptime() + self._lease_seconds
        lease = await self._leases.renew(id, holder)
        if lease:
            attempt.training.extend_lease(end)
        return lease

    async def _keep_renewing(self, attempt: Attempt, id: str, holder: str) -> None:
        """Renews the lease, as a step may take longer than that."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            with suppress(Unavailable):
                await self._renew(attempt, id, holder)


def _log_failure(before: Job, after: Job) -> None:
    """Logs why the job or its attempt failed, if the step has ended it."""
    if after.failure_reason and after.state not in HELD and before.state in HELD:
        log.warning(
            "attempt failed",
            job_id=after.id,
            attempt=after.attempt_count,
            stage=before.stage,
            reason=after.failure_reason,
            error=after.failure_message,
            state=str(after.state),
        )
