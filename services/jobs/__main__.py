"""Serves jobs: `python -m services.jobs`. Workers are processes of their own: `python -m services.jobs.worker`."""

import uvloop

from hashiramart.jobs.v1 import jobs_pb2_grpc
from mesh import database, telemetry
from mesh.auth_client import AuthClient
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, serve
from mesh.settings import MeshSettings, ShopSettings, read
from services.jobs.feed import JobFeed
from services.jobs.logs import LogRepository
from services.jobs.repository import JobRepository
from services.jobs.servicer import JobsServicer
from services.jobs.settings import Settings

HOUSEKEEPING_SECONDS = 600


async def main() -> None:
    settings, shop, mesh = read(Settings), read(ShopSettings), read(MeshSettings)
    telemetry.start("jobs", mesh)
    direct_url = str(settings.database_direct_url) if settings.database_direct_url else None
    auth = AuthClient("jobs", settings.service_secret.get_secret_value(), mesh)
    async with auth, await database.connect(str(settings.database_url), mesh, direct_url) as postgres:
        jobs, logs = JobRepository(postgres), LogRepository(postgres)
        feed = JobFeed(jobs, logs, postgres)
        page_tokens = PageTokens(settings.secret.get_secret_value().encode())
        servicer = JobsServicer(jobs, logs, feed, page_tokens, shop.time_zone.key)
        server = Server(settings.listen, mesh, auth.verifier, [postgres.ping], auth.trail)
        jobs_pb2_grpc.add_JobsServiceServicer_to_server(servicer, server)
        await serve(server, auth.run(), feed.run(), run_periodically(jobs.delete_expired, HOUSEKEEPING_SECONDS))


if __name__ == "__main__":
    uvloop.run(main())
