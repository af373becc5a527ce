"""Deletes what jobs left longer ago than the retention: snapshots of the clean data, data and models of trainings, and logs.

    python -m services.jobs.retention

A worker does the same once a day, beside its jobs.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from lake import bucket
from lake.bucket import Bucket
from lake.errors import LakeError
from lake.publishing import expire_snapshots
from mesh import database
from mesh.errors import Unavailable
from mesh.periodic import run_periodically
from mesh.settings import MeshSettings, read
from services.jobs.logs import LogRepository
from services.jobs.settings import WorkerSettings

_INTERVAL_SECONDS = 24 * 60 * 60
# After a start there is other work.
_FIRST_SECONDS = 60 * 60
log = structlog.get_logger(__name__)


class Retention:
    """The deletion of what has expired. What fails is logged, and tried again a day later.

    environment: of trainings
    """

    def __init__(self, settings: WorkerSettings, lake: Bucket, logs: LogRepository, environment: Mapping[str, str]) -> None:
        self._age, self._log_age = settings.retention, settings.log_retention
        self._lake = lake
        self._logs = logs
        self._command = [str(settings.training_python), "-m", "ml.pipeline.retention"]
        self._checkout = settings.training_checkout
        self._environment = environment

    async def run(self) -> None:
        """Carries it out once a day until cancelled."""
        await asyncio.sleep(_FIRST_SECONDS)
        await run_periodically(self.carry_out, _INTERVAL_SECONDS)

    async def carry_out(self) -> bool:
        """Deletes all that has expired; returns whether nothing failed."""
        before = datetime.now(UTC) - self._age
        succeeded = await self._delete_trainings(before)
        try:
            await asyncio.to_thread(expire_snapshots, self._lake, before)
            await self._logs.delete_expired(self._log_age)
        except (LakeError, Unavailable) as error:
            log.error("retention failed", error=str(error))
            return False
        return succeeded

    async def _delete_trainings(self, before: datetime) -> bool:
        """As a program of its own: MLflow's and DVC's libraries need more memory than a worker."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            f"--before={before.isoformat()}",
            cwd=self._checkout,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            raise
        last = output.decode(errors="replace").strip().rpartition("\n")[2]
        (log.info if process.returncode == 0 else log.error)("retention of trainings", outcome=last)
        return process.returncode == 0


async def main() -> None:
    settings, mesh = read(WorkerSettings), read(MeshSettings)
    lake = bucket.connect(settings.store_url, settings.store_region, settings.lake_bucket)
    async with await database.connect(str(settings.database_url), mesh) as postgres:
        retention = Retention(settings, lake, LogRepository(postgres), os.environ | settings.training_environment)
        if not await retention.carry_out():
            sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
