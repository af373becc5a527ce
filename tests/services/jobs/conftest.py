"""Fixtures: the jobs service on a database of the module's own, and its callers."""

from collections.abc import Callable, Iterator, Sequence

import grpc
import pytest

from hashiramart.jobs.v1 import jobs_pb2_grpc
from hashiramart.jobs.v1.jobs_pb2_grpc import add_JobsServiceServicer_to_server
from hashiramart.jobs.v1.schedules_pb2_grpc import ScheduleServiceStub, add_ScheduleServiceServicer_to_server
from mesh.health import Check
from mesh.identity import Role
from mesh.paging import PageTokens
from mesh.server import Server
from mesh.settings import MeshSettings
from services.jobs.schedule_repository import ScheduleRepository
from services.jobs.schedule_servicer import ScheduleServicer
from services.jobs.servicer import JobsServicer
from tests.callers import Issuer
from tests.loops import Loop
from tests.services.database import migrate_services
from tests.services.jobs.planner import LONDON, Planner
from tests.services.jobs.replica import SECRET, TIME_ZONE, JobsReplica
from tests.services.jobs.staff import Staff


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    """The module's database, with the tables of jobs."""
    return migrate_services(postgres_url, "jobs")["jobs"]


@pytest.fixture(scope="module")
def replica(loop: Loop, database_url: str, mesh_settings: MeshSettings) -> Iterator[JobsReplica]:
    """The service, running in the tests."""
    replica = JobsReplica(loop, database_url, mesh_settings)
    yield replica
    replica.stop()


@pytest.fixture(scope="module")
def grpc_servicer(replica: JobsReplica) -> jobs_pb2_grpc.JobsServiceServicer:
    return replica.servicer


@pytest.fixture(scope="module")
def grpc_checks(replica: JobsReplica) -> Sequence[Check]:
    return [replica.database.ping]


@pytest.fixture(scope="module")
def grpc_add_to_server(replica: JobsReplica) -> Callable[[JobsServicer, Server], None]:
    schedules = ScheduleServicer(ScheduleRepository(replica.database, LONDON), PageTokens(SECRET), TIME_ZONE)

    def add(jobs: JobsServicer, server: Server) -> None:
        add_JobsServiceServicer_to_server(jobs, server)
        add_ScheduleServiceServicer_to_server(schedules, server)

    return add


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[jobs_pb2_grpc.JobsServiceStub]:
    return jobs_pb2_grpc.JobsServiceStub


@pytest.fixture(scope="module")
def staff(grpc_stub: jobs_pb2_grpc.JobsServiceStub, issuer: Issuer) -> Staff:
    """A caller who may submit jobs."""
    return Staff(grpc_stub, lambda: issuer.metadata(Role.STAFF, "ann"))


@pytest.fixture(scope="module")
def customer(grpc_stub: jobs_pb2_grpc.JobsServiceStub, issuer: Issuer) -> Staff:
    """A caller who may not."""
    return Staff(grpc_stub, lambda: issuer.metadata(Role.CUSTOMER, "bob"))


@pytest.fixture(scope="module")
def schedule_stub(grpc_channel: grpc.Channel) -> ScheduleServiceStub:
    return ScheduleServiceStub(grpc_channel)


@pytest.fixture(scope="module")
def planner(loop: Loop, replica: JobsReplica, staff: Staff, schedule_stub: ScheduleServiceStub) -> Planner:
    return Planner(loop, replica, schedule_stub, staff)
