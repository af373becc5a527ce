"""Auth while what it needs is away, and behind a pooler."""

import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from tests.engines import PgBouncer, Postgres
from tests.services.auth.people import Person, refusal
from tests.services.auth.processes import SERVICE_SECRET, Auth


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_its_database_it_says_so_quickly_and_comes_back_by_itself(
    postgres: Postgres, grpc_server: Auth, grpc_stub: AuthServiceStub, ann: Person
) -> None:
    token = ann.signs_up_and_in()
    with postgres.stopped():
        for call in (ann.signs_in, lambda: ann.refreshes(token), Person(grpc_stub).signs_up):
            started = time.monotonic()
            refused = refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert refused.retry_seconds
            assert time.monotonic() - started < 3
        eventually(lambda: not grpc_server.serves())
        # What needs no database goes on.
        assert len(grpc_stub.ListSigningKeys(auth_pb2.ListSigningKeysRequest()).keys) == 2
        service = auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id="catalog", client_secret=SERVICE_SECRET)
        assert grpc_stub.IssueToken(service).scope == "service"
    eventually(grpc_server.serves)
    assert ann.signs_in().access_token
    # An outage is no theft: the token was not spent.
    assert ann.refreshes(token).access_token


def test_it_starts_before_its_database(postgres: Postgres, folder: Path, database_url: str, grpc_server: Auth) -> None:
    early = Auth(folder, database_url, AUTH_SECRET=grpc_server.environment["AUTH_SECRET"])
    with postgres.stopped(), pytest.raises(TimeoutError):
        early.start(within_seconds=5)
    try:
        eventually(early.serves)
        with early.stub() as stub:
            assert Person(stub).signs_up_and_in().access_token
    finally:
        early.stop()


def test_it_works_through_a_pooler(pgbouncer: PgBouncer, folder: Path, database_url: str, grpc_server: Auth) -> None:
    environment = {"AUTH_SECRET": grpc_server.environment["AUTH_SECRET"], "MESH_DATABASE_POOLER": "true"}
    with Auth(folder, pgbouncer.url(database_url), **environment) as auth, auth.stub() as stub:
        people = [Person(stub) for _ in range(8)]
        with futures.ThreadPoolExecutor(8) as threads:
            tokens = list(threads.map(Person.signs_up_and_in, people))
            for _ in range(3):
                tokens = list(threads.map(Person.refreshes, people, tokens))
        stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=people[0].by(tokens[0]))
        assert refusal(people[0].signs_in).reason == "INVALID_GRANT"


class Recommender(recommender_pb2_grpc.RecommenderServiceServicer):
    """As much of a recommender as auth calls."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self.callers: list[str] = []

    def ForgetUser(self, request: recommender_pb2.ForgetUserRequest, context: grpc.ServicerContext) -> Empty:  # noqa: N802
        self.callers.append(dict(context.invocation_metadata())["authorization"])
        self.forgotten.append(request.user_id)
        return Empty()
