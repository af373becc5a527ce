"""The catalogue during and after an outage of PostgreSQL."""

import time

import grpc

from mesh.server import Server
from stack.processes.probes import grpc_serves
from tests.engines.postgres import Postgres
from tests.services.catalog.shop import Shop
from tests.services.errors import fails_with
from tests.services.waiting import eventually

CODE = grpc.StatusCode


def test_an_outage_is_reported_quickly_and_recovered_from(staff: Shop, postgres: Postgres, grpc_server: Server) -> None:
    made = staff.create("Mug", id="outlives")
    watch = staff.watch()
    bookmark = next(watch)
    assert grpc_serves(grpc_server.port)
    with postgres.stopped():
        for call in (
            lambda: staff.get("outlives"),
            staff.page,
            staff.create,
            lambda: staff.update("outlives", stock=2),
            staff.watch().__next__,
        ):
            begin = time.monotonic()
            with fails_with(CODE.UNAVAILABLE, "DATABASE_UNAVAILABLE"):
                call()
            assert time.monotonic() - begin < 4
        eventually(lambda: not grpc_serves(grpc_server.port))
    eventually(lambda: grpc_serves(grpc_server.port))
    assert staff.get("outlives") == made
    changed = staff.update("outlives", stock=3)
    # A watcher receives later changes on the same stream.
    assert next(watch).product == changed
    watch.cancel()
    watch = staff.watch(bookmark.token)
    next(watch)
    assert next(watch).product == changed
    watch.cancel()
