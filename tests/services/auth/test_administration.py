"""Administering users."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Metadata, Person
from tests.services.auth.processes import sql
from tests.services.errors import error_of

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def root(admin: Person) -> Metadata:
    """The metadata of an admin's calls."""
    return admin.by(admin.signs_in())


def pages(stub: AuthServiceStub, metadata: Metadata, request: auth_pb2.ListUsersRequest) -> list[list[str]]:
    """The e-mail addresses on each page of the list."""
    found = []
    while True:
        page = stub.ListUsers(request, metadata=metadata)
        found.append([user.email for user in page.users])
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def test_users_are_listed_newest_first_and_each_once(grpc_stub: AuthServiceStub, root: Metadata, database_url: str) -> None:
    people = [Person(grpc_stub, f"list{number}-") for number in range(7)]
    for person in people:
        person.signs_up()
    # Users created at the same moment are not skipped either.
    sql(database_url, "UPDATE auth.users SET create_time = date_trunc('minute', create_time) WHERE email LIKE 'list%'")
    request = auth_pb2.ListUsersRequest(page_size=3, search="LIST")
    listed = pages(grpc_stub, root, request)
    assert [len(page) for page in listed] == [3, 3, 1]
    assert sorted(chain(*listed)) == sorted(person.email for person in people)

    first = grpc_stub.ListUsers(auth_pb2.ListUsersRequest(page_size=2), metadata=root)
    times = [user.create_time.ToNanoseconds() for user in first.users]
    assert times == sorted(times, reverse=True)


def test_a_sign_up_between_two_pages_shifts_no_user(grpc_stub: AuthServiceStub, root: Metadata) -> None:
    people = [Person(grpc_stub, "between") for _ in range(4)]
    for person in people:
        person.signs_up()
    request = auth_pb2.ListUsersRequest(page_size=2, search="between")
    first = grpc_stub.ListUsers(request, metadata=root)
    Person(grpc_stub, "between").signs_up()
    request.page_token = first.next_page_token
    second = grpc_stub.ListUsers(request, metadata=root)
    assert [user.email for user in (*first.users, *second.users)] == [person.email for person in reversed(people)]
    assert second.next_page_token == ""


def test_a_search_takes_its_text_literally_and_ignores_case(grpc_stub: AuthServiceStub, root: Metadata, ann: Person) -> None:
    token = ann.signs_up_and_in()
    name = "Zo\u00eb 100%_\\ O'Hara"
    grpc_stub.UpdateCurrentUser(auth_pb2.UpdateCurrentUserRequest(display_name=name), metadata=ann.by(token))
    for search in (ann.email.upper(), "zo\u00cb", "100%_\\", "'hara"):
        assert [ann.email] in pages(grpc_stub, root, auth_pb2.ListUsersRequest(search=search)), search
    for search in ("zoe 1%", "' OR true --", "Zo%"):
        assert pages(grpc_stub, root, auth_pb2.ListUsersRequest(search=search)) == [[]], search


def test_users_are_listed_by_role(grpc_stub: AuthServiceStub, root: Metadata, ann: Person, bob: Person) -> None:
    staff, _ = ann.signs_up(), bob.signs_up()
    grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=staff.id, role=auth_pb2.ROLE_STAFF)), metadata=root)
    request = auth_pb2.ListUsersRequest(role=auth_pb2.ROLE_STAFF, search="@example.com")
    assert pages(grpc_stub, root, request) == [[ann.email]]


def test_a_page_token_belongs_to_one_list(grpc_stub: AuthServiceStub, root: Metadata, ann: Person, bob: Person) -> None:
    ann.signs_up(), bob.signs_up()
    token = grpc_stub.ListUsers(auth_pb2.ListUsersRequest(page_size=1), metadata=root).next_page_token
    altered = token[:-1] + ("A" if token[-1] != "A" else "B")
    for request in (
        auth_pb2.ListUsersRequest(page_token=altered),
        auth_pb2.ListUsersRequest(page_token="x"),
        auth_pb2.ListUsersRequest(page_token=token, search="a"),
        auth_pb2.ListUsersRequest(page_token=token, role=auth_pb2.ROLE_ADMIN),
    ):
        error = error_of(partial(grpc_stub.ListUsers, request, metadata=root))
        assert (error.code, error.reason, error.fields) == (INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", ["page_token"])


def test_an_unknown_user_is_not_found(grpc_stub: AuthServiceStub, root: Metadata) -> None:
    id = str(uuid.uuid4())
    user = auth_pb2.User(id=id, display_name="x")
    for call in (
        lambda: grpc_stub.GetUser(auth_pb2.GetUserRequest(id=id), metadata=root),
        lambda: grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=user), metadata=root),
    ):
        error = error_of(call)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


def test_an_id_that_is_not_a_uuid_is_rejected(grpc_stub: AuthServiceStub, root: Metadata) -> None:
    assert error_of(lambda: grpc_stub.GetUser(auth_pb2.GetUserRequest(id="1"), metadata=root)).fields == ["id"]
    request = auth_pb2.UpdateUserRequest(user=auth_pb2.User(id="1"))
    assert error_of(lambda: grpc_stub.UpdateUser(request, metadata=root)).reason == "INVALID_REQUEST"


def test_an_admin_changes_what_the_mask_names(grpc_stub: AuthServiceStub, root: Metadata, ann: Person) -> None:
    user = ann.signs_up()
    wanted = auth_pb2.User(id=user.id.upper(), role=auth_pb2.ROLE_STAFF, customer_number="17850", display_name="not named")
    mask = FieldMask(paths=["role", "customer_number", "id", "etag"])
    changed = grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=wanted, update_mask=mask), metadata=root)
    assert (changed.role, changed.customer_number, changed.display_name) == (auth_pb2.ROLE_STAFF, "17850", "Ann")
    assert grpc_stub.GetUser(auth_pb2.GetUserRequest(id=user.id), metadata=root) == changed

    mask = FieldMask(paths=["customer_number", "display_name"])
    changed = grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id), update_mask=mask), metadata=root)
    assert (changed.role, changed.customer_number, changed.display_name) == (auth_pb2.ROLE_STAFF, "", "")


def test_without_a_mask_the_fields_that_are_set_are_changed(grpc_stub: AuthServiceStub, root: Metadata, ann: Person) -> None:
    user = ann.signs_up()
    changed = grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, customer_number="1")), metadata=root)
    assert (changed.customer_number, changed.display_name, changed.role) == ("1", "Ann", auth_pb2.ROLE_CUSTOMER)


def test_a_user_can_be_sent_back_as_it_was_read_with_some_fields_changed(grpc_stub: AuthServiceStub, root: Metadata, ann: Person) -> None:
    read = ann.signs_up()
    mask = FieldMask(paths=[field.name for field in read.DESCRIPTOR.fields])
    assert grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=read, update_mask=mask), metadata=root) == read
    read.role = auth_pb2.ROLE_STAFF
    changed = grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=read, update_mask=mask), metadata=root)
    assert (changed.role, changed.email, changed.create_time) == (auth_pb2.ROLE_STAFF, read.email, read.create_time)


@pytest.mark.parametrize("path", ["email", "create_time"])
def test_a_field_that_cannot_be_changed_must_have_its_value(grpc_stub: AuthServiceStub, root: Metadata, ann: Person, path: str) -> None:
    user = ann.signs_up()
    sent = auth_pb2.User(id=user.id, role=auth_pb2.ROLE_STAFF, email="other@example.com")
    request = auth_pb2.UpdateUserRequest(user=sent, update_mask=FieldMask(paths=["role", path]))
    error = error_of(lambda: grpc_stub.UpdateUser(request, metadata=root))
    assert (error.code, error.reason, error.fields) == (INVALID_ARGUMENT, "INVALID_REQUEST", [f"user.{path}"])
    assert grpc_stub.GetUser(auth_pb2.GetUserRequest(id=user.id), metadata=root) == user


def test_an_update_can_be_repeated(grpc_stub: AuthServiceStub, root: Metadata, ann: Person) -> None:
    user = ann.signs_up()
    change = auth_pb2.User(id=user.id, role=auth_pb2.ROLE_STAFF, etag=user.etag)
    request = auth_pb2.UpdateUserRequest(user=change, request_id=f"promote-{user.id}")
    changed = grpc_stub.UpdateUser(request, metadata=root)
    assert grpc_stub.UpdateUser(request, metadata=root) == changed
    request.user.role = auth_pb2.ROLE_ADMIN
    assert error_of(lambda: grpc_stub.UpdateUser(request, metadata=root)).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("path", ["password", "displayName", "", "role.x"])
def test_a_mask_that_names_no_field_is_rejected(grpc_stub: AuthServiceStub, root: Metadata, ann: Person, path: str) -> None:
    user = ann.signs_up()
    request = auth_pb2.UpdateUserRequest(
        user=auth_pb2.User(id=user.id, role=auth_pb2.ROLE_STAFF), update_mask=FieldMask(paths=["role", path])
    )
    error = error_of(lambda: grpc_stub.UpdateUser(request, metadata=root))
    assert (error.code, error.reason, error.fields) == (INVALID_ARGUMENT, "INVALID_REQUEST", ["update_mask"])
    assert grpc_stub.GetUser(auth_pb2.GetUserRequest(id=user.id), metadata=root) == user


def test_a_changed_role_must_be_specified(grpc_stub: AuthServiceStub, root: Metadata, ann: Person) -> None:
    request = auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=ann.signs_up().id), update_mask=FieldMask(paths=["role"]))
    assert error_of(lambda: grpc_stub.UpdateUser(request, metadata=root)).fields == ["user.role"]


def test_of_concurrent_changes_with_one_etag_one_succeeds(grpc_stub: AuthServiceStub, root: Metadata, ann: Person) -> None:
    user = ann.signs_up()

    def change(name: str) -> str:
        request = auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, display_name=name, etag=user.etag))
        try:
            grpc_stub.UpdateUser(request, metadata=root)
        except grpc.RpcError as error:
            return str(error.code())
        return ""

    with ThreadPoolExecutor(5) as threads:
        outcomes = sorted(threads.map(change, ["a", "b", "c", "d", "e"]))
    assert outcomes == [""] + 4 * ["StatusCode.ABORTED"]
    request = auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, display_name="f", etag=user.etag))
    assert error_of(lambda: grpc_stub.UpdateUser(request, metadata=root)).reason == "STALE_ETAG"


def test_a_customer_number_belongs_to_one_user(grpc_stub: AuthServiceStub, root: Metadata, ann: Person, bob: Person) -> None:
    users = ann.signs_up(), bob.signs_up()
    requests = [auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, customer_number="12347")) for user in users]
    grpc_stub.UpdateUser(requests[0], metadata=root)
    error = error_of(lambda: grpc_stub.UpdateUser(requests[1], metadata=root))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CUSTOMER_NUMBER_TAKEN")


def test_a_customer_may_not_list_users(grpc_stub: AuthServiceStub, ann: Person) -> None:
    metadata = ann.by(ann.signs_up_and_in())
    error = error_of(lambda: grpc_stub.ListUsers(auth_pb2.ListUsersRequest(), metadata=metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")


def test_a_former_admin_loses_all_rights_at_once(grpc_stub: AuthServiceStub, root: Metadata, ann: Person, database_url: str) -> None:
    user = ann.signs_up()
    grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, role=auth_pb2.ROLE_ADMIN)), metadata=root)
    former = ann.by(ann.signs_in())
    grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, role=auth_pb2.ROLE_STAFF)), metadata=root)
    again = auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, role=auth_pb2.ROLE_ADMIN))
    assert error_of(lambda: grpc_stub.UpdateUser(again, metadata=former)).reason in ("ROLE_NOT_ALLOWED", "TOKEN_REVOKED")
    listing = error_of(lambda: grpc_stub.ListUsers(auth_pb2.ListUsersRequest(), metadata=former))
    assert listing.reason in ("ROLE_NOT_ALLOWED", "TOKEN_REVOKED")


class TestTheLastAdmin:
    @pytest.fixture(autouse=True)
    def alone(self, database_url: str) -> None:
        """There is no admin yet."""
        sql(database_url, "UPDATE auth.users SET role = 'customer' WHERE role = 'admin'")

    @pytest.mark.parametrize("change", [auth_pb2.User(role=auth_pb2.ROLE_STAFF), auth_pb2.User(disabled=True)])
    def test_stays(self, grpc_stub: AuthServiceStub, admin: Person, ann: Person, database_url: str, change: auth_pb2.User) -> None:
        metadata = admin.by(admin.signs_in())
        me = grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=metadata)
        # A disabled admin does not count.
        ann.signs_up()
        sql(database_url, "UPDATE auth.users SET role = 'admin', disabled = true WHERE email = $1", ann.email)
        change.id = me.id
        for call in (
            lambda: grpc_stub.UpdateUser(auth_pb2.UpdateUserRequest(user=change), metadata=metadata),
            lambda: grpc_stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=metadata),
        ):
            error = error_of(call)
            assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN")
        assert grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=metadata) == me

    def test_remains_when_two_admins_demote_each_other_at_once(
        self, grpc_stub: AuthServiceStub, admin: Person, ann: Person, database_url: str
    ) -> None:
        ann.signs_up()
        ids = {}
        for _ in range(10):
            sql(database_url, "UPDATE auth.users SET role = 'admin' WHERE email IN ($1, $2)", admin.email, ann.email)
            callers = {who: who.by(who.signs_in()) for who in (admin, ann)}
            for who, metadata in callers.items():
                ids[who] = grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=metadata).id
            calls = [
                grpc_stub.UpdateUser.future(
                    auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=ids[other], role=auth_pb2.ROLE_STAFF)), metadata=callers[who]
                )
                for who, other in ((admin, ann), (ann, admin))
            ]
            errors = [error for call in calls if (error := call.exception())]
            assert len(errors) == 1
            [left] = sql(database_url, "SELECT count(*) AS admins FROM auth.users WHERE role = 'admin'")
            assert left["admins"] == 1
