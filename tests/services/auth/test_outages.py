"""Auth during outages of what it depends on, and behind a pooler."""

import secrets
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import jwt
from google.protobuf.empty_pb2 import Empty

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from hashiramart.recommender.v1 import recommender_pb2
from tests.engines.ports import free_port
from tests.engines.postgres import PgBouncer, Postgres
from tests.services.auth.people import Person
from tests.services.auth.processes import SERVICE_SECRET, Auth, sql
from tests.services.errors import error_of
from tests.services.waiting import eventually


def test_an_outage_of_the_database_is_reported_quickly_and_recovered_from(
    postgres: Postgres, grpc_server: Auth, grpc_stub: AuthServiceStub, ann: Person
) -> None:
    token = ann.signs_up_and_in()
    with postgres.stopped():
        for call in (ann.signs_in, lambda: ann.refreshes(token), Person(grpc_stub).signs_up):
            started = time.monotonic()
            error = error_of(call)
            assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert error.retry_seconds
            assert time.monotonic() - started < 3
        eventually(lambda: not grpc_server.serves())
        # Calls that need no database still succeed.
        assert len(grpc_stub.ListSigningKeys(auth_pb2.ListSigningKeysRequest()).keys) == 2
        service = auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id="catalog", client_secret=SERVICE_SECRET)
        assert grpc_stub.IssueToken(service).scope == "service"
    eventually(grpc_server.serves)
    assert ann.signs_in().access_token
    # The failed call did not spend the token.
    assert ann.refreshes(token).access_token


def test_auth_starts_before_its_database(postgres: Postgres, folder: Path, database_url: str, grpc_server: Auth) -> None:
    early = Auth(folder, database_url, AUTH_SECRET=grpc_server.environment["AUTH_SECRET"])
    with postgres.stopped():
        early.launch()
        time.sleep(5)
        assert not early.serves()
    try:
        eventually(early.serves)
        with early.stub() as stub:
            assert Person(stub).signs_up_and_in().access_token
    finally:
        early.stop()


def test_auth_works_through_a_pooler(pgbouncer: PgBouncer, folder: Path, database_url: str, grpc_server: Auth) -> None:
    environment = {"AUTH_SECRET": grpc_server.environment["AUTH_SECRET"], "MESH_DATABASE_POOLER": "true"}
    with Auth(folder, pgbouncer.url(database_url), **environment) as auth, auth.stub() as stub:
        people = [Person(stub) for _ in range(8)]
        with futures.ThreadPoolExecutor(8) as threads:
            tokens = list(threads.map(Person.signs_up_and_in, people))
            for _ in range(3):
                tokens = list(threads.map(Person.refreshes, people, tokens))
        stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=people[0].by(tokens[0]))
        assert error_of(people[0].signs_in).reason == "INVALID_GRANT"


class Recommender:
    """The one RPC of the recommender that auth calls."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.forgotten: list[tuple[str, str]] = []

    @contextmanager
    def serving(self) -> Iterator[None]:
        def forget(request: recommender_pb2.ForgetUserRequest, context: grpc.ServicerContext) -> Empty:
            caller = str(dict(context.invocation_metadata())["authorization"]).removeprefix("Bearer ")
            self.forgotten.append((request.user_id, jwt.decode(caller, options={"verify_signature": False})["role"]))
            return Empty()

        name = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"].full_name
        handler = grpc.unary_unary_rpc_method_handler(forget, recommender_pb2.ForgetUserRequest.FromString, Empty.SerializeToString)
        server = grpc.server(futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"ForgetUser": handler}),))
        assert server.add_insecure_port(self.address)
        server.start()
        try:
            yield
        finally:
            server.stop(None).wait()


def test_a_deleted_users_events_are_forgotten_once_the_recommender_can_be_reached(folder: Path, own_database: str) -> None:
    recommender = Recommender(f"127.0.0.1:{free_port()}")
    environment = {"AUTH_SECRET": secrets.token_urlsafe(), "AUTH_RECOMMENDER_ADDRESS": recommender.address}

    def delete(stub: AuthServiceStub) -> str:
        ann = Person(stub)
        user, token = ann.signs_up(), ann.signs_in()
        stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=ann.by(token))
        return user.id

    with Auth(folder, own_database, **environment) as auth, auth.stub() as stub:
        early = delete(stub)
    sql(own_database, "UPDATE auth.forgettings SET next_time = now()")
    with recommender.serving(), Auth(folder, own_database, **environment) as auth, Auth(folder, own_database, **environment):
        eventually(lambda: (early, "service") in recommender.forgotten)
        with auth.stub() as stub:
            late = delete(stub)
        eventually(lambda: (late, "service") in recommender.forgotten)
        eventually(lambda: sql(own_database, "SELECT 1 FROM auth.forgettings") == [])
    assert [user for user, _ in recommender.forgotten if user == late] == [late]


def test_no_secret_is_logged(folder: Path, database_urls: dict[str, str], grpc_server: Auth) -> None:
    auth = Auth(folder, database_urls["auth"], AUTH_SECRET=grpc_server.environment["AUTH_SECRET"], MESH_LOG_LEVEL="debug")
    with auth, auth.stub() as stub:
        ann = Person(stub, "very.private")
        first = ann.signs_up_and_in()
        second = ann.refreshes(first)
        error_of(lambda: ann.refreshes(first))
        error_of(lambda: ann.signs_in("a wrong password"))
        request = auth_pb2.UpdateCurrentUserRequest(password="a new password", current_password=ann.password)
        stub.UpdateCurrentUser(request, metadata=ann.by(ann.signs_in()))
        service = auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id="catalog", client_secret="a wrong secret")
        error_of(lambda: stub.IssueToken(service))
        sql(database_urls["migrator"], "ALTER TABLE auth.sign_ins RENAME TO away")
        try:
            fault = error_of(lambda: ann.signs_in("a new password"))
        finally:
            sql(database_urls["migrator"], "ALTER TABLE auth.away RENAME TO sign_ins")
    assert (fault.code, fault.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "sign_ins" not in fault.message
    assert "UndefinedTableError" in auth.log
    assert "signed in" in auth.log
    hidden = {auth.environment["AUTH_SECRET"], SERVICE_SECRET, "a wrong secret"}
    hidden |= {ann.email, ann.password, "a wrong password", "a new password"}
    hidden |= {token for pair in (first, second) for token in (pair.access_token, pair.refresh_token)}
    assert {secret for secret in hidden if secret in auth.log} == set()
