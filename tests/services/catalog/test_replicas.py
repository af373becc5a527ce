"""Replicas of the catalogue: one behind PgBouncer, which keeps no session state, and one that PostgreSQL notifies of changes."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.identity import Role, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.engines.postgres import PgBouncer
from tests.loops import Loop
from tests.services.catalog.replica import Replica
from tests.services.catalog.shop import Shop, row
from tests.services.errors import fails_with

CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def replica(loop: Loop, database_url: str, pgbouncer: PgBouncer, mesh_settings: MeshSettings) -> Iterator[Replica]:
    """The replica behind PgBouncer. It has no direct connection, so it polls for changes."""
    settings = mesh_settings.model_copy(update={"database_pooler": True})
    replica = Replica(loop, pgbouncer.url(database_url), settings)
    yield replica
    replica.stop()


@pytest.fixture(scope="module")
def other(loop: Loop, database_url: str, mesh_settings: MeshSettings, issuer: Issuer) -> Iterator[Shop]:
    """The catalogue as staff call it at the other replica, which is notified of changes."""
    replica = Replica(loop, database_url, mesh_settings)

    async def start() -> Server:
        server = Server("127.0.0.1:0", mesh_settings, TokenVerifier(mesh_settings.jwt_issuer, mesh_settings.jwt_audience, issuer))
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(replica.servicer, server)
        await server.start()
        return server

    server = loop.run(start())
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Shop(catalog_pb2_grpc.CatalogServiceStub(channel), issuer.metadata(Role.STAFF, "ann"))
    loop.run(server.stop(1))
    replica.stop()


def test_a_replica_reads_what_another_writes(staff: Shop, other: Shop) -> None:
    written = staff.create("Pooled mug", id="pooled", stock=1)
    assert other.get("pooled") == written
    written = other.update("pooled", stock=2, etag=written.etag)
    assert staff.get("pooled") == written
    with fails_with(CODE.ABORTED, "STALE_ETAG"):
        staff.update("pooled", stock=3, etag="1")
    assert staff.delete("pooled").etag == other.undelete("pooled").etag[:-1] + "3"


def test_the_same_request_to_both_replicas_at_once_creates_one_product(staff: Shop, other: Shop) -> None:
    with ThreadPoolExecutor(10) as callers:
        answers = list(callers.map(lambda shop: shop.create("Twins", request_id="twins"), [staff, other] * 5))
    assert all(answer == answers[0] for answer in answers)
    assert other.ids(search="twins") == [answers[0].id]


def test_an_import_behind_the_pooler_is_found_by_both(staff: Shop, other: Shop) -> None:
    rows = [row(f"file{number}", f"Umbrella {number}", price_cents=number) for number in range(1500)]
    assert staff.import_products(rows).created_count == 1500
    assert other.import_products(rows).unchanged_count == 1500
    assert staff.ids(search="umbrellas", order_by="price_cents", page_size=100) == [f"file{number}" for number in range(1500)]
    assert staff.ids(order_by="price_cents desc, name", page_size=100) == other.ids(order_by="price_cents desc, name", page_size=77)


def test_a_list_begun_at_one_replica_continues_at_the_other(staff: Shop, other: Shop) -> None:
    first = staff.page(search="umbrella", page_size=10)
    second = other.page(search="umbrella", page_size=10, page_token=first.next_page_token)
    assert [product.id for product in (*first.products, *second.products)] == staff.ids(search="umbrella")[:20]


def test_both_replicas_stream_changes_promptly_wherever_they_were_made(staff: Shop, other: Shop) -> None:
    watches = [staff.watch(), other.watch()]
    bookmarks = [next(watch) for watch in watches]
    for writer in staff, other:
        written = writer.create("News")
        for watch in watches:
            assert next(watch).product == written
            assert time.time() - written.create_time.ToNanoseconds() / 1e9 < 1
    for watch in watches:
        watch.cancel()
    assert bookmarks[0].token == bookmarks[1].token


def test_a_watch_begun_at_one_replica_continues_at_the_other(staff: Shop, other: Shop) -> None:
    watch = staff.watch()
    token = next(watch).token
    watch.cancel()
    written = [shop.create("Onwards") for shop in (staff, other)]
    watch = other.watch(token)
    assert next(watch).kind == catalog_pb2.CHANGE_KIND_BOOKMARK
    assert [next(watch).product for _ in written] == written
    watch.cancel()


def test_a_word_written_at_one_replica_corrects_a_search_at_the_other(staff: Shop, other: Shop) -> None:
    staff.create("Samovar")
    for _ in range(100):
        if corrected := other.page(search="samovra").corrected_search:
            break
        time.sleep(0.05)
    assert corrected == "samovar"
