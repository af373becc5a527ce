"""Access tokens are revoked before they expire."""

import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Metadata, Person
from tests.services.auth.processes import SERVICE_SECRET
from tests.services.errors import error_of
from tests.services.waiting import eventually


@pytest.fixture
def service(grpc_stub: AuthServiceStub) -> Metadata:
    """The metadata of a service's calls."""
    request = auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id="catalog", client_secret=SERVICE_SECRET)
    return (("authorization", f"Bearer {grpc_stub.IssueToken(request).access_token}"),)


def revoked_subjects(stub: AuthServiceStub, service: Metadata) -> set[str]:
    return {entry.subject for entry in stub.GetRevocations(auth_pb2.GetRevocationsRequest(), metadata=service).revocations}


def is_refused(stub: AuthServiceStub, metadata: Metadata) -> bool:
    call = stub.GetCurrentUser.future(auth_pb2.GetCurrentUserRequest(), metadata=metadata)
    return call.exception() is not None and error_of(call.result).reason == "TOKEN_REVOKED"


def test_the_end_of_a_sign_in_revokes_its_tokens_and_no_others(grpc_stub: AuthServiceStub, ann: Person) -> None:
    here, there = ann.signs_up_and_in(), ann.signs_in()
    grpc_stub.RevokeToken(auth_pb2.RevokeTokenRequest(token=there.refresh_token))
    eventually(lambda: is_refused(grpc_stub, ann.by(there)))
    assert not is_refused(grpc_stub, ann.by(here))


def test_a_new_password_revokes_the_tokens_of_other_sign_ins(grpc_stub: AuthServiceStub, ann: Person) -> None:
    here, there = ann.signs_up_and_in(), ann.signs_in()
    request = auth_pb2.UpdateCurrentUserRequest(password="another password", current_password=ann.password)
    grpc_stub.UpdateCurrentUser(request, metadata=ann.by(here))
    eventually(lambda: is_refused(grpc_stub, ann.by(there)))
    assert not is_refused(grpc_stub, ann.by(here))


def test_a_stolen_refresh_token_that_is_used_again_revokes_the_access_tokens_too(grpc_stub: AuthServiceStub, ann: Person) -> None:
    first = ann.signs_up_and_in()
    second = ann.refreshes(first)
    error_of(lambda: ann.refreshes(first))
    eventually(lambda: is_refused(grpc_stub, ann.by(second)))


def test_a_change_of_role_revokes_what_was_issued_before_and_nothing_after(
    grpc_stub: AuthServiceStub, admin: Person, ann: Person, service: Metadata
) -> None:
    root = admin.by(admin.signs_in())
    user = ann.signs_up()
    before = ann.signs_in()
    change = auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, role=auth_pb2.ROLE_STAFF))
    grpc_stub.UpdateUser(change, metadata=root)
    after = ann.refreshes(before)
    assert user.id in revoked_subjects(grpc_stub, service)
    eventually(lambda: is_refused(grpc_stub, ann.by(before)))
    assert not is_refused(grpc_stub, ann.by(after))


def test_a_deleted_user_is_revoked(grpc_stub: AuthServiceStub, ann: Person, service: Metadata) -> None:
    user = ann.signs_up()
    grpc_stub.DeleteCurrentUser(auth_pb2.DeleteCurrentUserRequest(), metadata=ann.by(ann.signs_in()))
    assert user.id in revoked_subjects(grpc_stub, service)


def test_only_services_read_the_revocations(grpc_stub: AuthServiceStub, admin: Person) -> None:
    metadata = admin.by(admin.signs_in())
    assert error_of(lambda: grpc_stub.GetRevocations(auth_pb2.GetRevocationsRequest(), metadata=metadata)).reason == "ROLE_NOT_ALLOWED"
