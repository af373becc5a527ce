"""Serves the jobs: `python -m services.jobs`. Its workers are processes of their own: `python -m services.jobs.worker`."""

import asyncio

from hashiramart.auth.v1 import auth_pb2
from hashiramart.jobs.v1 import jobs_pb2_grpc
from mesh import channel, database, telemetry
from mesh.identity import RemoteKeys, TokenVerifier
from mesh.paging import PageTokens
from mesh.server import Server, serve
from mesh.settings import MeshSettings, read
from services.jobs.feed import JobFeed
from services.jobs.housekeeping import keep_house
from services.jobs.repository import JobRepository
from services.jobs.servicer import JobsServicer
from services.jobs.settings import Settings


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("jobs", mesh)
    direct_url = str(settings.database_direct_url) if settings.database_direct_url else None
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    async with auth, await database.connect(str(settings.database_url), mesh, direct_url) as postgres:
        jobs = JobRepository(postgres)
        feed = JobFeed(jobs, postgres)
        servicer = JobsServicer(jobs, feed, PageTokens(settings.secret.get_secret_value().encode()))
        server = Server(settings.listen, mesh, TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, RemoteKeys(auth)), [postgres.ping])
        jobs_pb2_grpc.add_JobsServiceServicer_to_server(servicer, server)
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(task) for task in (feed.read(), feed.listen(), keep_house(jobs))]
            await serve(server)
            for task in work:
                task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
