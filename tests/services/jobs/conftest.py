"""Fixtures: the jobs service on a database of the module's own, and its callers."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from hashiramart.jobs.v1 import jobs_pb2_grpc
from mesh.health import Check
from mesh.identity import Role
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.loops import Loop
from tests.services.database import migrate_services
from tests.services.jobs.replica import JobsReplica
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
def grpc_add_to_server() -> Callable[[jobs_pb2_grpc.JobsServiceServicer, Server], None]:
    return jobs_pb2_grpc.add_JobsServiceServicer_to_server


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
