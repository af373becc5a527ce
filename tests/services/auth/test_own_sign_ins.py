"""Users see and end their own sign-ins, and what cannot be undone takes a recent one."""

import grpc
import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Person
from tests.services.auth.processes import Auth, sql
from tests.services.errors import error_of


def test_a_user_lists_where_they_are_signed_in(grpc_stub: AuthServiceStub, ann: Person, bob: Person) -> None:
    bob.signs_up_and_in()
    ann.signs_up_and_in()
    at_home = dict(ann.place)["x-forwarded-for"]
    ann.place = (("x-forwarded-for", "203.0.113.77"), ("grpcgateway-user-agent", "a telephone"))
    there = ann.signs_in()
    [latest, earlier] = grpc_stub.ListSignIns(auth_pb2.ListSignInsRequest(), metadata=ann.by(there)).sign_ins
    assert (latest.client_address, latest.user_agent, latest.is_current) == ("203.0.113.77", "a telephone", True)
    assert (earlier.client_address, earlier.is_current) == (at_home, False)
    first = grpc_stub.ListSignIns(auth_pb2.ListSignInsRequest(page_size=1), metadata=ann.by(there))
    request = auth_pb2.ListSignInsRequest(page_size=1, page_token=first.next_page_token)
    second = grpc_stub.ListSignIns(request, metadata=ann.by(there))
    assert ([*first.sign_ins], [*second.sign_ins], second.next_page_token) == ([latest], [earlier], "")


def test_a_user_ends_their_own_sign_ins_and_no_others(grpc_stub: AuthServiceStub, ann: Person, bob: Person) -> None:
    here, there, other = ann.signs_up_and_in(), ann.signs_in(), bob.signs_up_and_in()
    [latest, _] = grpc_stub.ListSignIns(auth_pb2.ListSignInsRequest(), metadata=ann.by(here)).sign_ins
    for _ in range(2):
        grpc_stub.EndSignIn(auth_pb2.EndSignInRequest(id=latest.id), metadata=ann.by(here))
    assert error_of(lambda: ann.refreshes(there)).reason == "INVALID_GRANT"
    [own] = grpc_stub.ListSignIns(auth_pb2.ListSignInsRequest(), metadata=bob.by(other)).sign_ins
    grpc_stub.EndSignIn(auth_pb2.EndSignInRequest(id=own.id), metadata=ann.by(here))
    assert bob.refreshes(other).access_token


def test_a_stolen_token_does_not_delete_the_account(grpc_stub: AuthServiceStub, ann: Person, database_url: str) -> None:
    user = ann.signs_up()
    token = ann.signs_in()
    sql(database_url, "UPDATE auth.sign_ins SET create_time = now() - interval '11 minutes' WHERE user_id = $1", user.id)
    token = ann.refreshes(token)
    error = error_of(lambda: grpc_stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=ann.by(token)))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SIGN_IN_NOT_RECENT")
    grpc_stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=ann.by(ann.signs_in()))


@pytest.mark.parametrize("password", ["password", "PassWord", "12345678", "trustno1"])
def test_a_common_password_is_refused(grpc_stub: AuthServiceStub, ann: Person, password: str) -> None:
    token = ann.signs_up_and_in()
    change = auth_pb2.UpdateCurrentUserRequest(password=password, current_password=ann.password)
    error = error_of(lambda: grpc_stub.UpdateCurrentUser(change, metadata=ann.by(token)))
    assert (error.code, error.reason, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "PASSWORD_TOO_COMMON", ["password"])
    somebody = Person(grpc_stub)
    somebody.password = password
    assert error_of(somebody.signs_up).reason == "PASSWORD_TOO_COMMON"


def test_the_e_mail_address_is_no_password(ann: Person) -> None:
    ann.password = ann.email.upper()
    assert error_of(ann.signs_up).reason == "PASSWORD_TOO_COMMON"


def test_an_admin_is_not_created_with_a_common_password(grpc_server: Auth) -> None:
    refusal = grpc_server.admin("create-admin", "--email", "boss@example.com", typed="password1")
    assert refusal.returncode == 1
    assert "too common" in refusal.stderr
