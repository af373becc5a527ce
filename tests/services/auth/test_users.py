"""Users and their own accounts."""

import hashlib
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Person
from tests.services.auth.processes import sql
from tests.services.errors import error_of

CURRENT = auth_pb2.GetCurrentUserRequest()


def test_a_new_user_is_a_customer(ann: Person) -> None:
    before = time.time()
    user = ann.signs_up()
    assert uuid.UUID(user.id)
    assert (user.email, user.display_name, user.role) == (ann.email, "Ann", auth_pb2.ROLE_CUSTOMER)
    assert (user.customer_number, user.disabled) == ("", False)
    assert user.create_time == user.update_time != Timestamp()
    assert abs(user.create_time.seconds - before) < 60
    assert user.etag


def test_an_email_address_is_stored_in_its_normalized_form(grpc_stub: AuthServiceStub, ann: Person) -> None:
    ann.email = f"Ann.{uuid.uuid4().hex}@B\u00dcCHER.Example.COM"
    user = ann.signs_up()
    assert user.email == ann.email.partition("@")[0] + "@b\u00fccher.example.com"
    ann.email = user.email.partition("@")[0] + "@xn--bcher-kva.example.com"
    assert ann.signs_in().access_token


def test_an_email_address_is_taken_in_any_case(ann: Person) -> None:
    ann.signs_up()
    ann.email = ann.email.title()
    taken = error_of(ann.signs_up)
    assert (taken.code, taken.reason) == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")


def test_a_sign_up_can_be_repeated(ann: Person, bob: Person) -> None:
    users = [ann.signs_up("first"), ann.signs_up("first")]
    assert users[0] == users[1]
    assert bob.signs_up("first").id != users[0].id
    for request_id in ("", "second"):
        assert error_of(lambda: ann.signs_up(request_id)).reason == "EMAIL_TAKEN"  # noqa: B023
    ann.password = "another password"
    reused = error_of(lambda: ann.signs_up("first"))
    assert (reused.code, reused.reason, reused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED", ["request_id"])


def test_of_concurrent_sign_ups_with_one_request_id_all_get_the_user(ann: Person) -> None:
    with ThreadPoolExecutor(4) as threads:
        users = list(threads.map(lambda _: ann.signs_up("once"), range(4)))
    assert len({user.id for user in users}) == 1


def test_a_request_with_a_password_is_not_stored_in_a_form_that_could_be_guessed(ann: Person, database_url: str) -> None:
    ann.signs_up("digested")
    request = auth_pb2.CreateUserRequest(email=ann.email, password=ann.password, display_name="Ann", request_id="digested")
    content = request.DESCRIPTOR.full_name.encode() + request.SerializeToString(deterministic=True)
    [(digest,)] = sql(database_url, "SELECT digest FROM auth.requests WHERE caller = $1", f"sign-up {ann.email}")
    assert digest != hashlib.sha256(content).digest()


def test_a_taken_email_address_takes_the_time_of_a_free_one(grpc_stub: AuthServiceStub, ann: Person) -> None:
    ann.signs_up()

    def taken() -> float:
        started = time.perf_counter()
        error_of(ann.signs_up)
        return time.perf_counter() - started

    def free() -> float:
        somebody = Person(grpc_stub)
        started = time.perf_counter()
        somebody.signs_up()
        return time.perf_counter() - started

    rounds = [(taken(), free()) for _ in range(15)]
    assert 0.5 < statistics.median(a for a, _ in rounds) / statistics.median(b for _, b in rounds) < 2


def test_of_concurrent_sign_ups_with_one_email_address_one_succeeds(ann: Person) -> None:
    def reason(_: int) -> str:
        try:
            ann.signs_up()
        except grpc.RpcError:
            return error_of(ann.signs_up).reason
        return ""

    with ThreadPoolExecutor(8) as threads:
        reasons = list(threads.map(reason, range(8)))
    assert sorted(reasons) == [""] + 7 * ["EMAIL_TAKEN"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "ann"),
        ("email", "ann@"),
        ("email", "ann@localhost"),
        ("email", "a b@example.com"),
        ("email", "ann@example.com\0"),
        ("email", "a@" + "b" * 250 + ".com"),
        ("password", "1234567"),
        ("password", "x" * 129),
        ("display_name", "x" * 101),
        ("display_name", "a\nb"),
        ("display_name", "a\0b"),
    ],
)
def test_a_sign_up_that_breaks_a_rule_names_the_field(grpc_stub: AuthServiceStub, ann: Person, field: str, value: str) -> None:
    request = auth_pb2.CreateUserRequest(email=ann.email, password=ann.password, display_name="Ann")
    setattr(request, field, value)
    error = error_of(lambda: grpc_stub.CreateUser(request, metadata=ann.place))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert set(error.fields) == {field}


@pytest.mark.parametrize("call", ["GetCurrentUser", "UpdateCurrentUser", "DeleteCurrentUser", "ListUsers", "GetUser", "UpdateUser"])
def test_a_call_without_a_token_is_rejected(grpc_stub: AuthServiceStub, call: str) -> None:
    request = getattr(auth_pb2, f"{call}Request")()
    error = error_of(lambda: getattr(grpc_stub, call)(request))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


def test_a_user_can_change_only_the_name(grpc_stub: AuthServiceStub, ann: Person) -> None:
    user, metadata = ann.signs_up(), ann.by(ann.signs_in())
    changed = grpc_stub.UpdateCurrentUser(auth_pb2.UpdateCurrentUserRequest(display_name=""), metadata=metadata)
    assert (changed.display_name, changed.email) == ("", user.email)
    assert changed.etag != user.etag
    assert changed.update_time.ToNanoseconds() > user.update_time.ToNanoseconds()
    assert grpc_stub.GetCurrentUser(CURRENT, metadata=metadata) == changed
    assert grpc_stub.UpdateCurrentUser(auth_pb2.UpdateCurrentUserRequest(), metadata=metadata) == changed


def test_a_mask_limits_what_changes(grpc_stub: AuthServiceStub, ann: Person) -> None:
    user, metadata = ann.signs_up(), ann.by(ann.signs_in())
    request = auth_pb2.UpdateCurrentUserRequest(
        display_name="Eve", email="not-named@example.com", update_mask=FieldMask(paths=["display_name"])
    )
    changed = grpc_stub.UpdateCurrentUser(request, metadata=metadata)
    assert (changed.display_name, changed.email) == ("Eve", user.email)
    request = auth_pb2.UpdateCurrentUserRequest(update_mask=FieldMask(paths=["display_name"]))
    assert grpc_stub.UpdateCurrentUser(request, metadata=metadata).display_name == ""
    for path, field in (("email", "email"), ("role", "update_mask"), ("current_password", "update_mask")):
        request = auth_pb2.UpdateCurrentUserRequest(update_mask=FieldMask(paths=[path]))
        error = error_of(lambda: grpc_stub.UpdateCurrentUser(request, metadata=metadata))  # noqa: B023
        assert (error.reason, error.fields) == ("INVALID_REQUEST", [field])


def test_a_change_of_the_password_can_be_repeated(grpc_stub: AuthServiceStub, ann: Person) -> None:
    metadata = ann.by(ann.signs_up_and_in())
    request = auth_pb2.UpdateCurrentUserRequest(password="another password", current_password=ann.password, request_id="a")
    changed = grpc_stub.UpdateCurrentUser(request, metadata=metadata)
    assert grpc_stub.UpdateCurrentUser(request, metadata=metadata) == changed
    request.request_id = "b"
    assert error_of(lambda: grpc_stub.UpdateCurrentUser(request, metadata=metadata)).reason == "WRONG_PASSWORD"


def test_a_new_password_ends_only_the_other_sign_ins(grpc_stub: AuthServiceStub, ann: Person, bob: Person) -> None:
    here, there, bobs = ann.signs_up_and_in(), ann.signs_in(), bob.signs_up_and_in()
    request = auth_pb2.UpdateCurrentUserRequest(password="another password", current_password=ann.password)
    grpc_stub.UpdateCurrentUser(request, metadata=ann.by(here))
    assert error_of(lambda: ann.refreshes(there)).reason == "INVALID_GRANT"
    assert ann.refreshes(here).access_token
    assert bob.refreshes(bobs).access_token
    assert error_of(ann.signs_in).reason == "INVALID_GRANT"
    assert ann.signs_in("another password").access_token


def test_a_new_email_address_requires_the_password_and_ends_no_sign_in(grpc_stub: AuthServiceStub, ann: Person) -> None:
    here, there = ann.signs_up_and_in(), ann.signs_in()
    old, new = ann.email, f"new-{ann.email}"
    request = auth_pb2.UpdateCurrentUserRequest(email=new.upper(), current_password=ann.password)
    assert grpc_stub.UpdateCurrentUser(request, metadata=ann.by(here)).email == new.upper().replace("EXAMPLE.COM", "example.com")
    assert ann.refreshes(there).access_token
    ann.email = new
    assert ann.signs_in().access_token
    ann.email = old
    assert error_of(ann.signs_in).reason == "INVALID_GRANT"


@pytest.mark.parametrize("current", ["", "wrong password"])
@pytest.mark.parametrize("change", [{"email": "other@example.com"}, {"password": "another password"}])
def test_nothing_changes_without_the_current_password(
    grpc_stub: AuthServiceStub, ann: Person, current: str, change: dict[str, str]
) -> None:
    user, metadata = ann.signs_up(), ann.by(ann.signs_in())
    request = auth_pb2.UpdateCurrentUserRequest(display_name="Eve", current_password=current, **change)  # type: ignore[arg-type]
    error = error_of(lambda: grpc_stub.UpdateCurrentUser(request, metadata=metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "WRONG_PASSWORD")
    assert grpc_stub.GetCurrentUser(CURRENT, metadata=metadata) == user
    assert ann.signs_in().access_token


def test_another_users_email_address_cannot_be_taken(grpc_stub: AuthServiceStub, ann: Person, bob: Person) -> None:
    bob.signs_up()
    metadata = ann.by(ann.signs_up_and_in())
    request = auth_pb2.UpdateCurrentUserRequest(email=bob.email.upper(), current_password=ann.password)
    error = error_of(lambda: grpc_stub.UpdateCurrentUser(request, metadata=metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")


def test_of_concurrent_new_passwords_one_succeeds(grpc_stub: AuthServiceStub, ann: Person) -> None:
    metadata = ann.by(ann.signs_up_and_in())
    wanted = [f"password number {number}" for number in range(4)]

    def change(password: str) -> str | None:
        request = auth_pb2.UpdateCurrentUserRequest(password=password, current_password=ann.password)
        try:
            grpc_stub.UpdateCurrentUser(request, metadata=metadata)
        except grpc.RpcError:
            return None
        return password

    with ThreadPoolExecutor(4) as threads:
        [kept] = filter(None, threads.map(change, wanted))
    assert ann.signs_in(kept).access_token


def test_a_deleted_user_is_gone(grpc_stub: AuthServiceStub, ann: Person, database_url: str) -> None:
    user, token = ann.signs_up(), ann.signs_in()
    grpc_stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=ann.by(token))
    # A repeated deletion succeeds until the revocation of the token is known, as the response of the first may have been lost.
    try:
        grpc_stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=ann.by(token))
    except grpc.RpcError as error:
        assert "was revoked" in str(error)
    assert error_of(ann.signs_in).reason == "INVALID_GRANT"
    assert error_of(lambda: ann.refreshes(token)).reason == "INVALID_GRANT"
    for call in (
        lambda: grpc_stub.GetCurrentUser(CURRENT, metadata=ann.by(token)),
        lambda: grpc_stub.UpdateCurrentUser(auth_pb2.UpdateCurrentUserRequest(display_name="x"), metadata=ann.by(token)),
    ):
        gone = error_of(call)
        assert gone.code is grpc.StatusCode.UNAUTHENTICATED
        assert gone.reason in ("USER_GONE", "TOKEN_REVOKED")
    assert sql(database_url, "SELECT 1 FROM auth.users WHERE id = $1", user.id) == []
    assert sql(database_url, "SELECT 1 FROM auth.sign_ins WHERE user_id = $1", user.id) == []
    assert ann.signs_up().id != user.id
