"""Fixtures of the tests of the catalogue: the service on a database of the module's own, and its callers."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from hashiramart.catalog.v1 import catalog_pb2_grpc
from mesh.health import Check
from mesh.identity import Role
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.loops import Loop
from tests.services.catalog.replica import Replica
from tests.services.catalog.shop import Shop
from tests.services.database import migrate_services


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    """The URL of the module's database, with the catalogue's tables."""
    return migrate_services(postgres_url, "catalog")["catalog"]


@pytest.fixture(scope="module")
def replica(loop: Loop, database_url: str, mesh_settings: MeshSettings) -> Iterator[Replica]:
    """The running parts of the catalogue."""
    replica = Replica(loop, database_url, mesh_settings)
    yield replica
    replica.stop()


@pytest.fixture(scope="module")
def grpc_servicer(replica: Replica) -> catalog_pb2_grpc.CatalogServiceServicer:
    return replica.servicer


@pytest.fixture(scope="module")
def grpc_checks(replica: Replica) -> Sequence[Check]:
    return [replica.database.ping]


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Callable[[catalog_pb2_grpc.CatalogServiceServicer, Server], None]:
    return catalog_pb2_grpc.add_CatalogServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[catalog_pb2_grpc.CatalogServiceStub]:
    return catalog_pb2_grpc.CatalogServiceStub


@pytest.fixture(scope="module")
def staff(grpc_stub: catalog_pb2_grpc.CatalogServiceStub, issuer: Issuer) -> Shop:
    """The catalogue as staff call it."""
    return Shop(grpc_stub, issuer.metadata(Role.STAFF, "ann"))


@pytest.fixture(scope="module")
def customer(grpc_stub: catalog_pb2_grpc.CatalogServiceStub, issuer: Issuer) -> Shop:
    """The catalogue as a customer calls it."""
    return Shop(grpc_stub, issuer.metadata(Role.CUSTOMER, "bob"))


@pytest.fixture(scope="module")
def stranger(grpc_stub: catalog_pb2_grpc.CatalogServiceStub) -> Shop:
    """The catalogue as a visitor calls it, who is not signed in."""
    return Shop(grpc_stub, ())
