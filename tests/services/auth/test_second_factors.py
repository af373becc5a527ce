"""Second factors: one-time codes and recovery codes."""

from base64 import b32decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import time
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import grpc
import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from mesh import database
from mesh.client_address import peer_address
from mesh.database import Database
from mesh.identity import Role
from mesh.settings import MeshSettings
from services.auth.credentials import Credentials
from services.auth.domain import User
from services.auth.passwords import Passwords
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.second_factors import SecondFactorRepository
from services.auth.repository.sign_ins import SignInRepository
from services.auth.repository.users import UserRepository
from services.auth.sealing import Sealing
from services.auth.second_factors import STEP_SECONDS, SecondFactors
from services.auth.throttle import codes_of
from tests.loops import Loop
from tests.services.auth.authenticator import App, code_at
from tests.services.auth.people import PASSWORD, Person
from tests.services.auth.processes import Auth, sql
from tests.services.errors import error_of

# By how many seconds a clock goes on, and which code is typed then, in steps from the one that is shown.
MOVES = st.tuples(st.sampled_from([0, 0, 1, 15, 29, 30, 31, 60, 90]), st.integers(-3, 3))


@pytest.fixture
def app(grpc_stub: AuthServiceStub, ann: Person) -> App:
    """A person who is signed in, and has enrolled without confirming."""
    app = App(grpc_stub, ann)
    app.token = ann.signs_up_and_in()
    app.enrolls()
    return app


@pytest.fixture
def protected(app: App) -> App:
    """A person with a second factor. The code of the step before this one is spent."""
    app.confirms(app.code(-1))
    return app


def test_an_app_is_enrolled_by_a_uri_and_in_use_from_its_first_code_on(grpc_stub: AuthServiceStub, ann: Person) -> None:
    app = App(grpc_stub, ann)
    app.token = ann.signs_up_and_in()
    replaced, enrollment = app.enrolls(), app.enrolls()
    assert replaced.secret != enrollment.secret
    uri = urlsplit(enrollment.otpauth_uri)
    assert (uri.scheme, uri.netloc, parse_qs(uri.query)["secret"]) == ("otpauth", "totp", [enrollment.secret])
    elsewhere = app.signs_in()
    wrong = error_of(lambda: app.confirms(code_at(replaced.secret, time())))
    assert (wrong.code, wrong.reason, wrong.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "WRONG_ONE_TIME_CODE", ["one_time_code"])
    assert not app.profile().second_factor_enabled
    app.confirms(app.code())
    assert app.profile().second_factor_enabled
    assert len(set(app.recovery_codes)) == 10
    assert error_of(lambda: ann.refreshes(elsewhere)).reason == "INVALID_GRANT"
    assert ann.refreshes(app.token).access_token
    for again in (app.enrolls, lambda: app.confirms(app.code(1))):
        assert error_of(again).reason == "SECOND_FACTOR_ENABLED"


def test_there_has_to_be_something_to_confirm(grpc_stub: AuthServiceStub, ann: Person) -> None:
    app = App(grpc_stub, ann)
    app.token = ann.signs_up_and_in()
    assert error_of(lambda: app.confirms("123456")).reason == "SECOND_FACTOR_NOT_ENROLLED"


def test_enrolling_takes_the_password(grpc_stub: AuthServiceStub, app: App) -> None:
    request = auth_pb2.EnrollSecondFactorRequest(current_password="wrong password")
    error = error_of(lambda: grpc_stub.EnrollSecondFactor(request, metadata=app.person.by(app.token)))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "WRONG_PASSWORD")


def test_a_sign_in_asks_for_a_code_which_is_valid_once(protected: App) -> None:
    missing = error_of(protected.signs_in)
    assert (missing.code, missing.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SECOND_FACTOR_REQUIRED")
    code = protected.code()
    assert protected.signs_in(f"{code[:3]} {code[3:]}").access_token
    for spent in (code, protected.code(-1), "12345", "not a code"):
        error = error_of(partial(protected.signs_in, spent))
        assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_SECOND_FACTOR")


def test_a_wrong_password_is_not_better_with_a_code(protected: App) -> None:
    protected.person.password = "wrong password"
    assert error_of(lambda: protected.signs_in(protected.code())).reason == "INVALID_GRANT"


def test_of_sign_ins_at_once_with_one_code_one_succeeds(protected: App) -> None:
    code = protected.code()

    def outcome(_: int) -> str:
        try:
            return protected.signs_in(code).token_type
        except grpc.RpcError:
            return ""

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(outcome, range(6)))[-2:] == ["", "Bearer"]


def test_a_recovery_code_is_valid_once_however_it_is_typed(protected: App) -> None:
    first, second, *_ = protected.recovery_codes
    assert protected.signs_in(first.upper().replace("-", " ")).access_token
    assert error_of(lambda: protected.signs_in(first)).reason == "INVALID_SECOND_FACTOR"
    assert protected.signs_in(second).access_token


def test_codes_cannot_be_tried_out_by_those_who_know_the_password(protected: App, database_url: str) -> None:
    for number in range(11):
        # A password alone, which is right, does not begin the count anew; nor does another network.
        protected.person.place = (("x-forwarded-for", f"198.51.{number}.7"),)
        assert error_of(protected.signs_in).reason == "SECOND_FACTOR_REQUIRED"
        assert error_of(lambda: protected.signs_in("not it")).reason == "INVALID_SECOND_FACTOR"
    error = error_of(lambda: protected.signs_in(protected.code()))
    assert (error.code, error.reason, bool(error.retry_seconds)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CODES", True)
    sql(database_url, "UPDATE auth.attempts SET retry_time = now() WHERE key LIKE 'codes%'")
    assert protected.signs_in(protected.code()).access_token


def test_disabling_takes_password_and_code(protected: App) -> None:
    code = protected.code()
    assert error_of(lambda: protected.disables(code, "wrong password")).reason == "WRONG_PASSWORD"
    assert error_of(lambda: protected.disables("000")).reason == "WRONG_ONE_TIME_CODE"
    elsewhere = protected.signs_in(protected.recovery_codes[0])
    protected.disables(code)
    assert error_of(lambda: protected.person.refreshes(elsewhere)).reason == "INVALID_GRANT"
    protected.token = protected.signs_in()
    assert not protected.profile().second_factor_enabled
    protected.disables(code)


def test_an_admin_resets_what_was_lost(grpc_stub: AuthServiceStub, protected: App, admin: Person) -> None:
    id, root = protected.profile().id, admin.by(admin.signs_in())
    assert grpc_stub.GetUser(auth_pb2.GetUserRequest(id=id), metadata=root).second_factor_enabled
    for _ in range(2):
        grpc_stub.ResetUserSecondFactor(auth_pb2.ResetUserSecondFactorRequest(id=id), metadata=root)
    assert error_of(lambda: protected.person.refreshes(protected.token)).reason == "INVALID_GRANT"
    assert protected.signs_in().access_token
    request = auth_pb2.ResetUserSecondFactorRequest(id=id)
    by_herself = error_of(lambda: grpc_stub.ResetUserSecondFactor(request, metadata=protected.person.by(protected.signs_in())))
    assert by_herself.reason == "ROLE_NOT_ALLOWED"


def test_the_database_has_neither_secret_nor_codes_and_forgets_them_with_the_user(
    grpc_stub: AuthServiceStub, protected: App, database_url: str
) -> None:
    find = "SELECT * FROM auth.second_factors WHERE user_id = $1"
    id = UUID(protected.profile().id)
    [row] = sql(database_url, find, id)
    assert b32decode(protected.secret) not in row["sealed_secret"]
    assert not {code.encode() for code in protected.recovery_codes} & {*row["recovery_digests"]}
    grpc_stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=protected.person.by(protected.token))
    assert sql(database_url, find, id) == []


def test_a_role_that_requires_one_comes_with_it(grpc_server: Auth, folder: Path, database_url: str) -> None:
    secret = grpc_server.environment["AUTH_SECRET"]
    with Auth(folder, database_url, AUTH_SECRET=secret, AUTH_SECOND_FACTOR_ROLES='["staff", "admin"]') as auth, auth.stub() as stub:
        kim = App(stub, Person(stub, "kim"))
        kim.person.signs_up()
        sql(database_url, "UPDATE auth.users SET role = 'admin' WHERE email = $1", kim.person.email)
        kim.token = kim.signs_in()
        assert role(kim.token) == (Role.CUSTOMER, Role.CUSTOMER)
        assert (kim.profile().role, kim.profile().second_factor_missing) == (auth_pb2.ROLE_ADMIN, True)
        users = auth_pb2.ListUsersRequest()
        assert error_of(lambda: stub.ListUsers(users, metadata=kim.person.by(kim.token))).reason == "ROLE_NOT_ALLOWED"
        kim.enrolls()
        kim.confirms(kim.code())
        kim.token = kim.person.refreshes(kim.token)
        assert role(kim.token) == (Role.ADMIN, Role.ADMIN)
        assert stub.ListUsers(users, metadata=kim.person.by(kim.token)).users
        assert not kim.profile().second_factor_missing
        kim.disables(kim.recovery_codes[0])
        assert role(kim.person.refreshes(kim.token)) == (Role.CUSTOMER, Role.CUSTOMER)


def role(token: auth_pb2.Token) -> tuple[str, str]:
    """What the response and the token say."""
    return token.scope, jwt.decode(token.access_token, options={"verify_signature": False})["role"]


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def connected(loop: Loop, database_url: str, mesh_settings: MeshSettings) -> Iterator[Database]:
    connected = loop.run(database.connect(database_url, mesh_settings))
    yield connected
    loop.run(connected.close())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(MOVES, min_size=1, max_size=8), st.integers(0, 29))
def test_a_code_is_valid_for_a_step_before_and_after_its_own_and_never_twice(
    loop: Loop, connected: Database, moves: list[tuple[int, int]], start: int
) -> None:
    users, attempts, clock = UserRepository(connected), AttemptRepository(connected), Clock()
    sign_ins = SignInRepository(connected, timedelta(days=1), timedelta(days=1))
    factors = SecondFactors(
        Credentials(users, sign_ins, attempts, Passwords()),
        SecondFactorRepository(connected),
        attempts,
        Sealing("second factors", "a secret"),
        clock,
    )

    async def check() -> None:
        user, secret = await _protected_user(users, factors, clock, start)
        last = int(clock.now) // STEP_SECONDS
        for seconds, steps in moves:
            clock.now += seconds
            now = int(clock.now) // STEP_SECONDS
            code = code_at(secret, clock.now + steps * STEP_SECONDS)
            taken = [step for step in (now - 1, now, now + 1) if step > last and code_at(secret, step * STEP_SECONDS) == code]
            assert await factors.accept(user, code) is bool(taken)
            last = taken[0] if taken else last
            await attempts.clear(codes_of(user.id))

    loop.run(check())


async def _protected_user(users: UserRepository, factors: SecondFactors, clock: Clock, start: int) -> tuple[User, str]:
    clock.now = 1_000_000_020.0 + start
    email = f"{uuid4()}@example.com"
    user = await users.create(email, "", Role.STAFF, await Passwords().hash(PASSWORD))
    enrollment = await factors.enroll(user, PASSWORD, peer_address("ipv4:192.0.2.1:1"))
    await factors.confirm(user, code_at(enrollment.secret, clock.now), UUID(int=0))
    return user, enrollment.secret
