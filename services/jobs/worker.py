"""Works on jobs, one at a time: `python -m services.jobs.worker`. Any number of workers may run, and each may die at any time."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog

from hashiramart.auth.v1 import auth_pb2
from hashiramart.recommender.v1 import recommender_pb2
from lake import bucket
from lake.hadoop.kerberos import KerberosSettings
from mesh import channel, database, telemetry
from mesh.identity import ServiceToken
from mesh.settings import MeshSettings, ShopSettings, read
from ml.registry.client import RegistryClient, registered_name
from ml.registry.signature import Signer
from services.jobs import package
from services.jobs.attempts import Attempt, Worker
from services.jobs.container_logs import AggregatedLogs
from services.jobs.domain import Job, RetryPolicy
from services.jobs.etl import EtlAttempt, EtlConfig, EtlEngines
from services.jobs.event_export import EventExport
from services.jobs.leases import LeaseRepository
from services.jobs.log_collector import LogCollector
from services.jobs.logs import LogRepository
from services.jobs.negotiation import Negotiate
from services.jobs.raw_zone import RawZoneClient
from services.jobs.results import Results
from services.jobs.retention import Retention
from services.jobs.settings import WorkerSettings
from services.jobs.submission import SparkSubmit
from services.jobs.training import TrainingAttempt, TrainingPipeline
from services.jobs.yarn import YarnClient

HTTP_TIMEOUT_SECONDS = 5
STORE_TIMEOUT_SECONDS = 5
# Not for Spark and trainings, which otherwise get the worker's environment.
OWN_VARIABLES = ("JOBS_", "KERBEROS_", "MESH_")

log = structlog.get_logger(__name__)


async def main() -> None:
    settings, mesh = read(WorkerSettings), read(MeshSettings)
    telemetry.start("jobs-worker", mesh)
    async with AsyncExitStack() as resources:
        worker, retention = await _build_parts(settings, mesh, resources)
        work = asyncio.gather(worker.run(), retention.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        with suppress(asyncio.CancelledError):
            await work


async def _build_parts(settings: WorkerSettings, mesh: MeshSettings, resources: AsyncExitStack) -> tuple[Worker, Retention]:
    """Builds a worker, and what deletes expired data beside it.

    resources: closes the connections and files that are opened here
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    postgres = await resources.enter_async_context(await database.connect(str(settings.database_url), mesh))
    lake = bucket.connect(settings.store_url, settings.store_region, settings.lake_bucket, timeout_seconds=STORE_TIMEOUT_SECONDS, retries=0)
    engines = await _connect_engines(settings, mesh, environment, lake, resources)
    code = Path(resources.enter_context(tempfile.TemporaryDirectory())) / "code.zip"
    package.pack(code)
    retry_policy = _retry_policy(settings)
    etl_config = EtlConfig(code, [*settings.etl_arguments, "--time-zone", read(ShopSettings).time_zone.key], retry_policy)
    pipeline = _training_pipeline(settings, environment)
    logs = LogRepository(postgres)
    secrets = [lake.secret_key, *settings.secrets]

    mlflow = await resources.enter_async_context(httpx.AsyncClient(timeout=HTTP_TIMEOUT_SECONDS, auth=settings.mlflow_auth))
    verifier = Signer(settings.signing_key.get_secret_value()).verifier

    def registry(model: str) -> RegistryClient:
        return RegistryClient(mlflow, settings.mlflow_url, registered_name(model), verifier)

    def start_attempt(job: Job, holder: str) -> Attempt:
        collector = LogCollector(logs, job.id, holder, secrets, settings.log_lines_kept)
        etl = EtlAttempt(engines, etl_config, collector, holder)
        return Attempt(etl, TrainingAttempt(pipeline, registry, retry_policy, collector))

    leases = LeaseRepository(postgres, timedelta(seconds=settings.lease_seconds))
    retention = Retention(settings, lake, logs, environment | settings.training_environment)
    return Worker(leases, start_attempt, retry_policy, settings.lease_seconds, settings.tick_seconds), retention


async def _connect_engines(
    settings: WorkerSettings, mesh: MeshSettings, environment: Mapping[str, str], lake: bucket.Bucket, resources: AsyncExitStack
) -> EtlEngines:
    sign_in, user, of_java = None, settings.yarn_user, environment
    if login := read(KerberosSettings).login:
        # Every request keeps the ticket fresh that `spark-submit` will need.
        login = login._replace(cache=Path(resources.enter_context(tempfile.TemporaryDirectory())) / "tickets")
        sign_in, user, of_java = Negotiate(login), "", {**environment, **login.java_environment}
    http = httpx.AsyncClient(timeout=HTTP_TIMEOUT_SECONDS, follow_redirects=True, auth=sign_in)
    await resources.enter_async_context(http)
    raw_zone = RawZoneClient(http, settings.webhdfs_url, user, urlsplit(settings.raw_root).path)
    return EtlEngines(
        YarnClient(http, settings.yarn_url, user),
        SparkSubmit(settings.spark_home, settings.spark_properties, of_java, timedelta(seconds=settings.submit_seconds)),
        AggregatedLogs(settings.hadoop_jars, of_java),
        Results(lake),
        await _connect_event_export(settings, mesh, raw_zone, resources),
    )


def _retry_policy(settings: WorkerSettings) -> RetryPolicy:
    return RetryPolicy(
        settings.attempts,
        first_wait=timedelta(seconds=settings.retry_seconds),
        longest_wait=timedelta(seconds=settings.longest_retry_seconds),
        timeout=timedelta(seconds=settings.job_seconds),
    )


def _training_pipeline(settings: WorkerSettings, environment: Mapping[str, str]) -> TrainingPipeline:
    variables = {**environment, **settings.training_environment}
    return TrainingPipeline(settings.training_python, settings.training_checkout, settings.training_folder, variables)


async def _connect_event_export(
    settings: WorkerSettings, mesh: MeshSettings, raw_zone: RawZoneClient, resources: AsyncExitStack
) -> EventExport | None:
    """None if no recommender is configured."""
    if not settings.recommender_address or not settings.service_secret:
        log.warning("recorded events are not exported: JOBS_RECOMMENDER_ADDRESS and JOBS_SERVICE_SECRET are not set")
        return None
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    token = ServiceToken(await resources.enter_async_context(auth), "jobs", settings.service_secret.get_secret_value())
    service = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]
    recommender = channel.connect(settings.recommender_address, service, mesh, token.proof)
    return EventExport(await resources.enter_async_context(recommender), raw_zone, settings.exposure_delay)


if __name__ == "__main__":
    asyncio.run(main())
