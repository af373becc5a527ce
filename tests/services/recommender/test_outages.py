"""The recommender answers during outages, as long as it has the products."""

from pathlib import Path

import grpc
import pytest

from hashiramart.recommender.v1 import recommender_pb2
from hashiramart.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub, add_RecommenderServiceServicer_to_server
from mesh.identity import Role, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.engines.ports import free_port
from tests.engines.postgres import Postgres
from tests.loops import Loop
from tests.services.catalog.shop import Shop
from tests.services.errors import fails_with
from tests.services.recommender.replica import CatalogServer, RecommenderReplica
from tests.services.recommender.shopper import Shopper, event, ids, kinds, step
from tests.services.waiting import eventually

VIEW = recommender_pb2.EVENT_KIND_VIEW


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without a model."""
    return tmp_path_factory.mktemp("model")


def test_without_a_model_lists_are_in_the_order_of_the_catalogue(new_user: Shopper, product: str) -> None:
    response = new_user.recommendations(page_size=100)
    assert (step(response), response.model_version, response.data_through_date) == ("CATALOG", "", "")
    assert (ids(response)[0], len(ids(response)), set(kinds(response))) == (product, 26, {"IN_CATALOG"})
    assert ids(new_user.popular(page_size=100)) == ids(response)
    assert step(new_user.similar("tea03")) == "CATALOG"


def test_without_a_model_there_are_no_customers(staff: Shopper) -> None:
    for call in (staff.of_customer, staff.purchases):
        with fails_with(grpc.StatusCode.UNAVAILABLE, "NO_MODEL"):
            call("04")


def test_without_the_database_lists_are_answered_and_events_are_not_recorded(new_user: Shopper, postgres: Postgres) -> None:
    new_user.view("tea03")
    with postgres.stopped():
        assert len(ids(new_user.recommendations())) == 10
        with fails_with(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"):
            new_user.view("tea03")
    assert new_user.record(event(VIEW, "tea03")) == (1, 0)


def test_without_the_catalog_the_products_stay_as_they_were(new_user: Shopper, shop: Shop, catalog: CatalogServer) -> None:
    whole = ids(new_user.recommendations(page_size=100))
    catalog.stop()
    assert ids(new_user.recommendations(page_size=100)) == whole
    catalog.start()
    eventually(lambda: shop.update("tea05", ["stock"], stock=0).stock == 0)
    eventually(lambda: "tea05" not in ids(new_user.recommendations(page_size=100)))


def test_before_the_catalog_was_reached_there_are_no_products(
    loop: Loop, database_url: str, mesh_settings: MeshSettings, issuer: Issuer, folder: Path
) -> None:
    replica = RecommenderReplica(loop, database_url, mesh_settings, issuer, f"127.0.0.1:{free_port()}", folder)

    async def start() -> Server:
        server = Server("127.0.0.1:0", mesh_settings, TokenVerifier(mesh_settings.jwt_issuer, mesh_settings.jwt_audience, issuer))
        add_RecommenderServiceServicer_to_server(replica.servicer, server)
        await server.start()
        return server

    server = loop.run(start())
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        lonely = Shopper(RecommenderServiceStub(channel), issuer.metadata(Role.CUSTOMER))
        for call in (lonely.recommendations, lonely.popular):
            with fails_with(grpc.StatusCode.UNAVAILABLE, "CATALOG_UNAVAILABLE"):
                call()
        assert lonely.record(event(VIEW, "tea03")) == (1, 0)
    loop.run(server.stop(0))
    replica.stop()
