"""Whatever is away, there is an answer for as long as the products can be had."""

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
    """Without a model."""
    return tmp_path_factory.mktemp("model")


def test_without_a_model_the_catalogue_has_an_order_of_its_own(stranger: Shopper, product: str) -> None:
    answer = stranger.recommendations(page_size=100)
    assert (step(answer), answer.model_version, answer.data_through_date) == ("CATALOG", "", "")
    assert (ids(answer)[0], len(ids(answer)), set(kinds(answer))) == (product, 26, {"IN_CATALOG"})
    assert ids(stranger.popular(page_size=100)) == ids(answer)
    assert step(stranger.similar("tea03")) == "CATALOG"


def test_without_a_model_nothing_is_known_of_customers(staff: Shopper) -> None:
    for call in (staff.of_customer, staff.purchases):
        with fails_with(grpc.StatusCode.UNAVAILABLE, "NO_MODEL"):
            call("04")


def test_without_the_database_one_recommends_and_does_not_record(stranger: Shopper, postgres: Postgres) -> None:
    stranger.views("tea03")
    with postgres.stopped():
        assert len(ids(stranger.recommendations())) == 10
        with fails_with(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"):
            stranger.views("tea03")
    assert stranger.record(event(VIEW, "tea03")) == (1, 0)


def test_without_the_catalog_the_products_are_as_they_were(stranger: Shopper, keeper: Shop, catalog: CatalogServer) -> None:
    whole = ids(stranger.recommendations(page_size=100))
    catalog.stop()
    assert ids(stranger.recommendations(page_size=100)) == whole
    catalog.start()
    eventually(lambda: keeper.update("tea05", ["stock"], stock=0).stock == 0)
    eventually(lambda: "tea05" not in ids(stranger.recommendations(page_size=100)))


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
