"""Serves jobs: `python -m services.jobs`. Workers are processes of their own: `python -m services.jobs.worker`."""

if __name__ == "__main__":
    import services.lean_imports  # noqa: F401

import asyncio
from functools import partial

import httpx
import uvloop

from hashiramart.forecaster.v1 import accuracy_pb2
from hashiramart.jobs.v1 import jobs_pb2_grpc, raw_data_pb2_grpc, schedules_pb2_grpc
from lake.bucket import connect
from lake.hadoop.kerberos import KerberosSettings
from lake.publishing import read_publication
from mesh import channel, database, telemetry
from mesh.auth_client import AuthClient
from mesh.health import Check
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, serve
from mesh.settings import MeshSettings, ShopSettings, read
from services.jobs.alarms import ForecastAlarms
from services.jobs.clean_data import CleanData
from services.jobs.feed import JobFeed
from services.jobs.logs import LogRepository
from services.jobs.negotiation import Negotiate
from services.jobs.raw_data_servicer import RawDataServicer
from services.jobs.raw_files import RawFiles
from services.jobs.repository import JobRepository
from services.jobs.schedule_repository import ScheduleRepository
from services.jobs.schedule_servicer import ScheduleServicer
from services.jobs.servicer import JobsServicer
from services.jobs.settings import Settings
from services.jobs.yarn import YarnClient

HOUSEKEEPING_SECONDS = 600
SCHEDULE_SECONDS = 2
ALARM_SECONDS = 10
STORE_TIMEOUT_SECONDS = 5
# To see whether an engine is up.
ENGINE_TIMEOUT_SECONDS = 5


async def main() -> None:
    settings, shop, mesh = read(Settings), read(ShopSettings), read(MeshSettings)
    login = read(KerberosSettings).login
    telemetry.start("jobs", mesh)
    direct_url = str(settings.database_direct_url) if settings.database_direct_url else None
    auth = AuthClient("jobs", settings.service_secret.get_secret_value(), mesh)
    async with (
        auth,
        httpx.AsyncClient(timeout=ENGINE_TIMEOUT_SECONDS, auth=Negotiate(login) if login else None) as http,
        await database.connect(str(settings.database_url), mesh, direct_url) as postgres,
    ):
        jobs, logs = JobRepository(postgres), LogRepository(postgres)
        feed = JobFeed(jobs, logs, postgres)
        page_tokens = PageTokens(settings.secret.get_secret_value().encode())
        servicer = JobsServicer(jobs, logs, feed, page_tokens, shop.time_zone.key)
        raw_files = RawFiles(settings.raw_zone_url, settings.upload_bytes, login)
        # Its callers retry, and wait less than a retry here would take.
        lake = connect(settings.store_url, settings.store_region, settings.lake_bucket, timeout_seconds=STORE_TIMEOUT_SECONDS, retries=0)
        raw_data = RawDataServicer(raw_files, CleanData(lake), page_tokens, shop.time_zone.key)
        schedules = ScheduleRepository(postgres, shop.time_zone)
        engines: dict[str, Check] = {
            "postgresql": postgres.ping,
            "hdfs": raw_files.ping,
            "yarn": YarnClient(http, settings.yarn_url).ping,
            "object store": partial(asyncio.to_thread, read_publication, lake),
        }
        server = Server(settings.listen, mesh, auth.verifier, [postgres.ping], auth.trail, engines)
        jobs_pb2_grpc.add_JobsServiceServicer_to_server(servicer, server)
        raw_data_pb2_grpc.add_RawDataServiceServicer_to_server(raw_data, server)
        schedule_servicer = ScheduleServicer(schedules, page_tokens, shop.time_zone.key)
        schedules_pb2_grpc.add_ScheduleServiceServicer_to_server(schedule_servicer, server)
        housekeeping = (run_periodically(work, HOUSEKEEPING_SECONDS) for work in (jobs.delete_expired, raw_files.delete_expired_uploads))
        due = run_periodically(schedules.submit_due, SCHEDULE_SECONDS)
        alarms = _follow_alarms(schedules, settings.forecaster_address, mesh, auth)
        await serve(server, auth.run(), feed.run(), due, alarms, *housekeeping)


async def _follow_alarms(schedules: ScheduleRepository, forecaster_address: str, mesh: MeshSettings, auth: AuthClient) -> None:
    """Has schedules follow the forecaster's alarms until cancelled."""
    service = accuracy_pb2.DESCRIPTOR.services_by_name["ForecastAccuracyService"]
    async with channel.connect(forecaster_address, service, mesh, auth.proof) as forecaster:
        await run_periodically(partial(schedules.check_alarms, ForecastAlarms(forecaster).count_firing), ALARM_SECONDS)


if __name__ == "__main__":
    uvloop.run(main())
