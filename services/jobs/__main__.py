"""Serves jobs: `python -m services.jobs`. Workers are processes of their own: `python -m services.jobs.worker`."""

import uvloop

from hashiramart.auth.v1 import auth_pb2
from hashiramart.jobs.v1 import jobs_pb2_grpc
from mesh import channel, database, telemetry
from mesh.identity import RemoteKeys, TokenVerifier
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, serve
from mesh.settings import MeshSettings, read
from services.jobs.feed import JobFeed
from services.jobs.logs import LogRepository
from services.jobs.repository import JobRepository
from services.jobs.servicer import JobsServicer
from services.jobs.settings import Settings

HOUSEKEEPING_SECONDS = 600


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("jobs", mesh)
    direct_url = str(settings.database_direct_url) if settings.database_direct_url else None
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    async with auth, await database.connect(str(settings.database_url), mesh, direct_url) as postgres:
        jobs, logs = JobRepository(postgres), LogRepository(postgres)
        feed = JobFeed(jobs, logs, postgres)
        servicer = JobsServicer(jobs, logs, feed, PageTokens(settings.secret.get_secret_value().encode()))
        server = Server(settings.listen, mesh, TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, RemoteKeys(auth)), [postgres.ping])
        jobs_pb2_grpc.add_JobsServiceServicer_to_server(servicer, server)
        await serve(server, feed.run(), run_periodically(jobs.delete_expired, HOUSEKEEPING_SECONDS))


if __name__ == "__main__":
    uvloop.run(main())
