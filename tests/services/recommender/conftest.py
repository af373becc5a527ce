"""Fixtures: the recommender and the catalog, served on a database of the module, and their callers."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from hashiramart.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from hashiramart.recommender.v1 import recommender_pb2_grpc
from hashiramart.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from mesh.identity import Permission, Role
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.engines.ports import free_port
from tests.loops import Loop
from tests.services.catalog.replica import Replica as CatalogReplica
from tests.services.catalog.shop import Shop
from tests.services.database import migrate_services
from tests.services.recommender import world
from tests.services.recommender.replica import CatalogServer, RecommenderReplica
from tests.services.recommender.shopper import Shopper
from tests.services.waiting import eventually

Caller = Callable[..., Shopper]


@pytest.fixture(scope="module")
def database_urls(postgres_url: str) -> dict[str, str]:
    """The URL of each service's role in the database of the module, which has the tables of both."""
    return migrate_services(postgres_url, "catalog", "recommender")


@pytest.fixture(scope="module")
def database_url(database_urls: dict[str, str]) -> str:
    """The URL of the recommender's role."""
    return database_urls["recommender"]


@pytest.fixture(scope="module")
def catalog(loop: Loop, database_urls: dict[str, str], mesh_settings: MeshSettings, issuer: Issuer) -> Iterator[CatalogServer]:
    """A served catalog."""
    replica = CatalogReplica(loop, database_urls["catalog"], mesh_settings)
    server = CatalogServer(loop, replica, mesh_settings, issuer, free_port())
    server.start()
    yield server
    server.stop()
    replica.stop()


@pytest.fixture(scope="module")
def shop(catalog: CatalogServer, issuer: Issuer) -> Iterator[Shop]:
    """The staff's access to the catalogue, which has the products of `world`."""
    with grpc.insecure_channel(catalog.address) as channel:
        staff = Shop(CatalogServiceStub(channel), issuer.metadata(Role.STAFF, "kim"))
        staff.import_products(world.products())
        yield staff


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of the recommender, with a champion trained on the sales of `world`. A module may override it."""
    folder = tmp_path_factory.mktemp("model")
    world.save_as_champion(world.train(), folder)
    return folder


@pytest.fixture(scope="module")
def replica(
    loop: Loop, database_url: str, mesh_settings: MeshSettings, issuer: Issuer, catalog: CatalogServer, shop: Shop, folder: Path
) -> Iterator[RecommenderReplica]:
    """The recommender, with the products of the catalogue."""
    replica = RecommenderReplica(loop, database_url, mesh_settings, issuer, catalog.address, folder)
    loop.run(replica.catalog.wait_until_filled(30))
    yield replica
    replica.stop()


@pytest.fixture(scope="module")
def grpc_servicer(replica: RecommenderReplica) -> recommender_pb2_grpc.RecommenderServiceServicer:
    return replica.servicer


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Callable[[recommender_pb2_grpc.RecommenderServiceServicer, Server], None]:
    return recommender_pb2_grpc.add_RecommenderServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[RecommenderServiceStub]:
    return RecommenderServiceStub


@pytest.fixture
def caller(grpc_stub: RecommenderServiceStub, issuer: Issuer) -> Caller:
    """Makes a new caller: `caller()`, `caller("04")` with a customer number, `caller(role=Role.STAFF)`."""

    def caller(customer_number: str = "", role: Role = Role.CUSTOMER, subject: str = "") -> Shopper:
        return Shopper(grpc_stub, issuer.metadata(role, subject or str(uuid.uuid4()), customer_number))

    return caller


@pytest.fixture
def ann(caller: Caller) -> Shopper:
    """A customer who buys tea."""
    return caller("04")


@pytest.fixture
def new_user(caller: Caller) -> Shopper:
    """A user without purchases or events."""
    return caller()


@pytest.fixture
def staff(caller: Caller) -> Shopper:
    return caller(role=Role.STAFF)


@pytest.fixture
def till(grpc_stub: RecommenderServiceStub, issuer: Issuer) -> Shopper:
    """An order system."""
    return Shopper(grpc_stub, issuer.metadata(Role.SYSTEM, "till", permissions=[Permission.WRITE_EVENTS]))


@pytest.fixture
def service(caller: Caller) -> Shopper:
    return caller(role=Role.SERVICE, subject="jobs")


@pytest.fixture
def auth(caller: Caller) -> Shopper:
    """The service that has events of deleted users forgotten."""
    return caller(role=Role.SERVICE, subject="auth")


_NUMBERS = itertools.count()


@pytest.fixture
def product(shop: Shop, replica: RecommenderReplica) -> Iterator[str]:
    """A product that the model does not have, and the recommender's replica of the catalogue has."""
    id = f"fresh{next(_NUMBERS)}"
    shop.create("fresh tea", id=id, category="Tea", price_cents=150, stock=5)
    eventually(lambda: replica.catalog.products.get(id) is not None)
    yield id
    shop.delete(id)
    eventually(lambda: replica.catalog.products.get(id) is None)
