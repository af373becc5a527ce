"""Visitors get tokens without an account, and hand their events over when they sign up or in."""

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
from tests.services.auth.people import PASSWORD, Metadata, Person
from tests.services.auth.processes import SERVICE_SECRET, Auth, sql
from tests.services.errors import error_of, fails_with
from tests.services.waiting import eventually


def visit(stub: AuthServiceStub, place: Metadata = ()) -> auth_pb2.Token:
    return stub.IssueToken(auth_pb2.IssueTokenRequest(grant_type="anonymous"), metadata=place)


def claims(token: auth_pb2.Token) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token.access_token, options={"verify_signature": False})
    return found


def test_each_visitor_has_a_subject_of_its_own_which_a_refresh_keeps(grpc_stub: AuthServiceStub, ann: Person) -> None:
    first, other = visit(grpc_stub, ann.place), visit(grpc_stub, ann.place)
    assert (first.scope, claims(first)["role"]) == ("visitor", "visitor")
    assert claims(first)["sub"] != claims(other)["sub"]
    for _ in range(2):
        assert claims(ann.refreshes(first))["sub"] == claims(first)["sub"]


def test_a_visitor_is_no_user(grpc_stub: AuthServiceStub, ann: Person) -> None:
    with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=ann.by(visit(grpc_stub, ann.place)))


def test_a_visitor_leaves_no_row(grpc_stub: AuthServiceStub, ann: Person, bob: Person, database_url: str) -> None:
    def rows() -> dict[str, int]:
        count = "SELECT (SELECT count(*) FROM auth.users), (SELECT count(*) FROM auth.sign_ins), (SELECT count(*) FROM auth.handovers)"
        return dict(sql(database_url, count)[0])

    def audited() -> set[str]:
        return {address for (address,) in sql(database_url, "SELECT client_address FROM auth.audit_events")}

    before = rows()
    ann.refreshes(visit(grpc_stub, ann.place))
    assert rows() == before
    # What comes later is audited after it.
    bob.signs_up()
    eventually(lambda: bob.place[0][1] in audited())
    assert ann.place[0][1] not in audited()


def test_new_visitors_from_one_address_have_a_limit(grpc_stub: AuthServiceStub, ann: Person, bob: Person, database_url: str) -> None:
    visit(grpc_stub, ann.place)
    network = ann.place[0][1]
    sql(database_url, "UPDATE auth.attempts SET count = 1000 WHERE key = $1", f"visitors {network}")
    error = error_of(lambda: visit(grpc_stub, ann.place))
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_VISITORS")
    assert error.retry_seconds
    assert visit(grpc_stub, bob.place).access_token


def test_an_invalid_visitor_token_is_named_before_anybody_signs_up_or_in(grpc_stub: AuthServiceStub, ann: Person) -> None:
    late = jwt.encode({"sub": secrets.token_hex(), "aud": "visitor", "exp": int(time.time()) - 1}, "not the key" * 3, algorithm="HS256")
    for token in ("nonsense", late, visit(grpc_stub, ann.place).access_token):
        with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VISITOR_TOKEN") as violations:
            grpc_stub.CreateUser(auth_pb2.CreateUserRequest(email=ann.email, password=PASSWORD, visitor_token=token[:512]))
        assert list(violations) == ["visitor_token"]
    assert ann.signs_up().id
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VISITOR_TOKEN"):
        grpc_stub.IssueToken(
            auth_pb2.IssueTokenRequest(grant_type="password", username=ann.email, password=PASSWORD, visitor_token="nonsense")
        )


def test_an_external_system_is_no_service_of_the_mesh(folder: Path, own_database: str) -> None:
    environment = {
        "AUTH_SERVICE_SECRETS": f'{{"catalog": "{SERVICE_SECRET}", "till": "{SERVICE_SECRET}"}}',
        "AUTH_SYSTEM_PERMISSIONS": '{"till": ["events.write"]}',
    }
    with Auth(folder, own_database, **environment) as auth, auth.stub() as stub:
        tokens = [
            stub.IssueToken(auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id=name, client_secret=SERVICE_SECRET))
            for name in ("catalog", "till")
        ]
        assert [token.scope for token in tokens] == ["service", "system"]
        assert [claims(token).get("permissions") for token in tokens] == [None, ["events.write"]]
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            stub.GetRevocations(auth_pb2.GetRevocationsRequest(), metadata=(("authorization", f"Bearer {tokens[1].access_token}"),))


@contextmanager
def recommender(address: str, handed_over: list[tuple[str, str]]) -> Iterator[None]:
    """Serves the one RPC of the recommender that auth calls for visitors."""

    def hand_over(request: recommender_pb2.HandOverVisitorRequest, context: grpc.ServicerContext) -> Empty:
        handed_over.append((request.visitor_id, request.user_id))
        return Empty()

    name = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"].full_name
    handler = grpc.unary_unary_rpc_method_handler(hand_over, recommender_pb2.HandOverVisitorRequest.FromString, Empty.SerializeToString)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"HandOverVisitor": handler}),))
    assert server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


def test_who_signs_up_or_in_keeps_what_they_did_as_a_visitor(folder: Path, own_database: str) -> None:
    """Also if the recommender cannot be reached at the time."""
    address, handed_over = f"127.0.0.1:{free_port()}", list[tuple[str, str]]()
    with Auth(folder, own_database, AUTH_RECOMMENDER_ADDRESS=address) as auth, auth.stub() as stub:
        ann, expected = Person(stub), list[tuple[object, str]]()
        visitor, later = visit(stub), visit(stub)
        request = auth_pb2.CreateUserRequest(email=ann.email, password=ann.password, visitor_token=visitor.refresh_token, request_id="once")
        user = stub.CreateUser(request)
        assert stub.CreateUser(request).id == user.id
        expected.append((claims(visitor)["sub"], user.id))
        stub.IssueToken(
            auth_pb2.IssueTokenRequest(grant_type="password", username=ann.email, password=ann.password, visitor_token=later.refresh_token)
        )
        expected.append((claims(later)["sub"], user.id))
        sql(own_database, "UPDATE auth.handovers SET next_time = now() + interval '1 second'")
        with recommender(address, handed_over):
            eventually(lambda: sorted(handed_over) == sorted(expected))
            eventually(lambda: sql(own_database, "SELECT 1 FROM auth.handovers") == [])
