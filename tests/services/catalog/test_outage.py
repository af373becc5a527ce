"""The catalogue while PostgreSQL is away, and after."""

import time
from collections.abc import Callable

import grpc

from mesh.server import Server
from stack.processes.probes import grpc_serves
from tests.engines.postgres import Postgres
from tests.services.catalog.shop import Shop, refused

CODE = grpc.StatusCode


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise TimeoutError


def test_it_says_so_quickly_and_goes_on_by_itself(staff: Shop, postgres: Postgres, grpc_server: Server) -> None:
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
            with refused(CODE.UNAVAILABLE, "DATABASE_UNAVAILABLE"):
                call()
            assert time.monotonic() - begin < 4
        wait_until(lambda: not grpc_serves(grpc_server.port))
    wait_until(lambda: grpc_serves(grpc_server.port))
    assert staff.get("outlives") == made
    changed = staff.update("outlives", stock=3)
    # Who watched is told what came after, on the same stream.
    assert next(watch).product == changed
    watch.cancel()
    watch = staff.watch(bookmark.token)
    next(watch)
    assert next(watch).product == changed
    watch.cancel()
