"""Grants, refresh tokens and revocation."""

import base64
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus

import grpc
import jwt
import pytest
from argon2 import PasswordHasher

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import PASSWORD, Person
from tests.services.auth.processes import SERVICE_SECRET, sql
from tests.services.errors import error_of

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


def test_a_token_identifies_its_user(grpc_stub: AuthServiceStub, ann: Person) -> None:
    user = ann.signs_up()
    token = ann.signs_in()
    claims = jwt.decode(token.access_token, options={"verify_signature": False})
    assert (claims["sub"], claims["role"], claims["iss"], claims["aud"]) == (user.id, "customer", "hashiramart", "hashiramart")
    assert token.expires_in == 900 <= claims["exp"] - claims["iat"] < 901
    assert "customer_number" not in claims
    assert (token.token_type, token.scope) == ("Bearer", "customer")
    assert grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=ann.by(token)) == user


def test_a_wrong_password_and_an_unknown_address_look_the_same(ann: Person, bob: Person) -> None:
    ann.signs_up()
    wrong = error_of(lambda: ann.signs_in("wrong password"))
    assert (wrong.code, wrong.reason, wrong.fields) == (UNAUTHENTICATED, "INVALID_GRANT", [])
    assert error_of(bob.signs_in) == wrong
    bob.email = "this is no address"
    assert error_of(bob.signs_in) == wrong


def test_a_wrong_password_an_unknown_address_and_a_disabled_account_take_the_same_time(
    grpc_stub: AuthServiceStub, ann: Person, bob: Person, database_url: str
) -> None:
    nobody = Person(grpc_stub)
    ann.signs_up()
    bob.signs_up()
    sql(database_url, "UPDATE auth.users SET disabled = true WHERE email = $1", bob.email)

    def seconds(who: Person, password: str) -> float:
        sql(database_url, "DELETE FROM auth.attempts")
        started = time.perf_counter()
        error_of(lambda: who.signs_in(password))
        return time.perf_counter() - started

    rounds = [(seconds(ann, "wrong password"), seconds(nobody, PASSWORD), seconds(bob, PASSWORD)) for _ in range(15)]
    wrong, unknown, closed = (statistics.median(column) for column in zip(*rounds, strict=True))
    # Hashing takes most of the time of a sign-in: without it, a sign-in would take a tenth.
    assert 0.5 < unknown / wrong < 2
    assert 0.5 < closed / wrong < 2


def test_the_email_address_is_compared_without_case(ann: Person) -> None:
    ann.signs_up()
    ann.email = ann.email.upper()
    assert ann.signs_in().access_token


def test_a_password_does_not_depend_on_how_its_accents_are_typed(ann: Person) -> None:
    ann.password = "cr\u00e8me br\u00fbl\u00e9e"
    ann.signs_up()
    assert ann.signs_in("cre\u0300me bru\u0302le\u0301e").access_token
    assert error_of(lambda: ann.signs_in("creme brulee")).reason == "INVALID_GRANT"


def test_every_character_of_a_password_counts(ann: Person) -> None:
    ann.password = "x\0" * 63 + "ab"
    ann.signs_up()
    assert ann.signs_in().access_token
    assert error_of(lambda: ann.signs_in("x\0" * 63 + "ac")).reason == "INVALID_GRANT"


def test_a_second_use_of_a_refresh_token_ends_the_sign_in(ann: Person) -> None:
    first = ann.signs_up_and_in()
    second = ann.refreshes(first)
    third = ann.refreshes(second)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    other = ann.signs_in()
    assert error_of(lambda: ann.refreshes(first)).reason == "INVALID_GRANT"
    assert error_of(lambda: ann.refreshes(third)).reason == "INVALID_GRANT"
    assert ann.refreshes(other).refresh_token


def test_of_concurrent_uses_of_a_refresh_token_one_succeeds_and_the_sign_in_ends(ann: Person) -> None:
    token = ann.signs_up_and_in()

    def try_once(_: int) -> auth_pb2.Token | None:
        try:
            return ann.refreshes(token)
        except grpc.RpcError:
            return None

    with ThreadPoolExecutor(10) as threads:
        [winner] = filter(None, threads.map(try_once, range(10)))
    assert error_of(lambda: ann.refreshes(winner)).reason == "INVALID_GRANT"


@pytest.mark.parametrize("text", ["x", "ä" * 64, "A" * 64, "A" * 63, "!" * 64, "2f1c1a4e-3c1b-4b1e-9c53-6f0c8f3d2a10"])
def test_a_malformed_refresh_token_is_rejected(grpc_stub: AuthServiceStub, text: str) -> None:
    request = auth_pb2.IssueTokenRequest(grant_type="refresh_token", refresh_token=text)
    assert error_of(lambda: grpc_stub.IssueToken(request)).reason == "INVALID_GRANT"
    grpc_stub.RevokeToken(auth_pb2.RevokeTokenRequest(token=text))


def test_a_sign_in_expires_sooner_unused_and_later_in_any_case(ann: Person, database_url: str) -> None:
    def days_pass(days: int) -> None:
        sql(
            database_url,
            "UPDATE auth.sign_ins SET expire_time = expire_time - $1 * interval '1 day', end_time = end_time - $1 * interval '1 day'",
            days,
        )

    idle = ann.signs_up_and_in()
    days_pass(31)
    assert error_of(lambda: ann.refreshes(idle)).reason == "INVALID_GRANT"

    used = ann.signs_in()
    for _ in range(3):
        days_pass(25)
        used = ann.refreshes(used)
    days_pass(25)
    assert error_of(lambda: ann.refreshes(used)).reason == "INVALID_GRANT"


def test_revoking_ends_one_sign_in_only(grpc_stub: AuthServiceStub, ann: Person) -> None:
    here, there = ann.signs_up_and_in(), ann.signs_in()
    spent, here = here, ann.refreshes(here)
    grpc_stub.RevokeToken(auth_pb2.RevokeTokenRequest(token=here.refresh_token))
    grpc_stub.RevokeToken(auth_pb2.RevokeTokenRequest(token=here.refresh_token))
    assert error_of(lambda: ann.refreshes(here)).reason == "INVALID_GRANT"
    assert error_of(lambda: ann.refreshes(spent)).reason == "INVALID_GRANT"
    assert ann.refreshes(there).access_token


def test_a_disabled_user_is_locked_out(grpc_stub: AuthServiceStub, ann: Person, admin: Person) -> None:
    user, token = ann.signs_up(), ann.signs_in()
    grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, disabled=True)), metadata=admin.by(admin.signs_in()))
    assert error_of(ann.signs_in).reason == "INVALID_GRANT"
    assert error_of(lambda: ann.refreshes(token)).reason == "INVALID_GRANT"
    gone = error_of(lambda: grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=ann.by(token)))
    assert gone.code == UNAUTHENTICATED
    assert gone.reason in ("USER_GONE", "TOKEN_REVOKED")


def test_a_refreshed_token_carries_what_an_admin_has_set(grpc_stub: AuthServiceStub, ann: Person, admin: Person) -> None:
    user, token = ann.signs_up(), ann.signs_in()
    change = auth_pb2.User(id=user.id, role=auth_pb2.ROLE_STAFF, customer_number="12346")
    grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=change), metadata=admin.by(admin.signs_in()))
    refreshed = ann.refreshes(token)
    claims = jwt.decode(refreshed.access_token, options={"verify_signature": False})
    assert (claims["role"], claims["customer_number"], refreshed.scope) == ("staff", "12346", "staff")


def test_a_service_authenticates_with_its_secret(grpc_stub: AuthServiceStub) -> None:
    token = grpc_stub.IssueToken(
        auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id="catalog", client_secret=SERVICE_SECRET)
    )
    claims = jwt.decode(token.access_token, options={"verify_signature": False})
    assert (claims["sub"], claims["role"], token.scope, token.refresh_token) == ("catalog", "service", "service", "")


def test_a_service_may_send_its_secret_by_basic_authentication(grpc_stub: AuthServiceStub) -> None:
    request = auth_pb2.IssueTokenRequest(grant_type="client_credentials")
    assert grpc_stub.IssueToken(request, metadata=basic("catalog", quote_plus(SERVICE_SECRET))).scope == "service"
    assert error_of(lambda: grpc_stub.IssueToken(request, metadata=basic("catalog", "another"))).reason == "INVALID_CLIENT"
    missing = error_of(lambda: grpc_stub.IssueToken(request, metadata=(("authorization", "Basic %%%"),)))
    assert (missing.reason, missing.fields) == ("INVALID_REQUEST", ["client_id", "client_secret"])


@pytest.mark.parametrize(("name", "secret"), [("catalog", "wrong"), ("catalog", ""), ("nobody", SERVICE_SECRET), ("auth", "x")])
def test_a_service_with_a_wrong_secret_is_rejected(grpc_stub: AuthServiceStub, name: str, secret: str) -> None:
    request = auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id=name, client_secret=secret)
    error = error_of(lambda: grpc_stub.IssueToken(request))
    assert (error.code, error.reason) == (
        (UNAUTHENTICATED, "INVALID_CLIENT") if secret else (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    )


def test_empty_basic_authentication_beside_a_password_is_ignored(grpc_stub: AuthServiceStub, ann: Person) -> None:
    ann.signs_up()
    ann.place += basic("", "")
    assert ann.signs_in().access_token


@pytest.mark.parametrize(
    ("grant_type", "needed"),
    [
        ("password", ["username", "password"]),
        ("refresh_token", ["refresh_token"]),
        ("client_credentials", ["client_id", "client_secret"]),
    ],
)
def test_a_grant_without_its_parameters_is_rejected(grpc_stub: AuthServiceStub, grant_type: str, needed: list[str]) -> None:
    error = error_of(lambda: grpc_stub.IssueToken(auth_pb2.IssueTokenRequest(grant_type=grant_type)))
    assert (error.code, error.reason, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", needed)


def test_an_unknown_grant_is_rejected(grpc_stub: AuthServiceStub) -> None:
    error = error_of(lambda: grpc_stub.IssueToken(auth_pb2.IssueTokenRequest(grant_type="implicit")))
    assert (error.code, error.reason, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_GRANT_TYPE", ["grant_type"])


def basic(name: str, secret: str) -> tuple[tuple[str, str]]:
    return (("authorization", "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()),)


def test_an_outdated_password_hash_is_replaced_at_the_next_sign_in(ann: Person, database_url: str) -> None:
    ann.signs_up()
    older = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(ann.password)
    sql(database_url, "UPDATE auth.users SET password_hash = $2 WHERE email = $1", ann.email, older)
    assert ann.signs_in().access_token
    [kept] = sql(database_url, "SELECT password_hash FROM auth.users WHERE email = $1", ann.email)
    assert "$m=12288,t=3,p=1$" in kept["password_hash"]
    assert ann.signs_in().access_token
