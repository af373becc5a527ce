"""Who did what: the audit events of calls that change something or are refused."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Metadata, Person
from tests.services.auth.processes import SERVICE_SECRET, Auth, sql
from tests.services.errors import error_of
from tests.services.waiting import eventually

Events = Callable[..., list[auth_pb2.AuditEvent]]
SERVICE = "hashiramart.auth.v1.AuthService"


@pytest.fixture
def root(admin: Person) -> Metadata:
    """The metadata of an admin's calls."""
    return admin.by(admin.signs_in())


@pytest.fixture
def events(grpc_stub: AuthServiceStub, root: Metadata) -> Events:
    """Lists events once there are some: `events(rpc="IssueToken", code="OK")`."""

    def events(rpc: str = "", subject: str = "", resource: str = "") -> list[auth_pb2.AuditEvent]:
        request = auth_pb2.ListAuditEventsRequest(rpc=f"{SERVICE}.{rpc}" if rpc else "", subject=subject, resource=resource)
        eventually(lambda: bool(grpc_stub.ListAuditEvents(request, metadata=root).events))
        return list(grpc_stub.ListAuditEvents(request, metadata=root).events)

    return events


def test_a_change_says_who_changed_what_from_where(
    grpc_stub: AuthServiceStub, admin: Person, root: Metadata, ann: Person, events: Events
) -> None:
    user = ann.signs_up()
    request = auth_pb2.UpdateUserRequest(user=auth_pb2.User(id=user.id, role=auth_pb2.ROLE_STAFF))
    grpc_stub.UpdateUser(request, metadata=(*root, ("x-request-id", "promotion-of-ann")))
    [event] = events("UpdateUser", resource=f"users/{user.id}")
    assert (event.code, event.reason, event.role, event.call_count) == ("OK", "", "admin", 1)
    assert event.request_id == "promotion-of-ann"
    assert event.client_address == dict(admin.place)["x-forwarded-for"]
    assert event.subject


def test_a_failed_sign_in_names_the_account_and_no_e_mail_address(ann: Person, events: Events) -> None:
    user = ann.signs_up()
    error_of(lambda: ann.signs_in("a wrong password"))
    [event] = events("IssueToken", resource=f"users/{user.id}")
    assert (event.subject, event.role, event.code, event.reason) == ("", "anonymous", "UNAUTHENTICATED", "INVALID_GRANT")
    assert ann.email not in str(event)


def test_a_refused_call_is_recorded_though_it_only_reads(grpc_stub: AuthServiceStub, ann: Person, events: Events) -> None:
    user = ann.signs_up()
    metadata = ann.by(ann.signs_in())
    for _ in range(20):
        error_of(lambda: grpc_stub.ListUsers(auth_pb2.ListUsersRequest(), metadata=metadata))
    eventually(lambda: sum(event.call_count for event in events("ListUsers", subject=user.id)) == 20)
    refusals = events("ListUsers", subject=user.id)
    assert len(refusals) < 5
    assert {(event.code, event.reason, event.role) for event in refusals} == {("PERMISSION_DENIED", "ROLE_NOT_ALLOWED", "customer")}


def test_a_successful_read_is_not_recorded(grpc_stub: AuthServiceStub, ann: Person, events: Events) -> None:
    user = ann.signs_up()
    metadata = ann.by(ann.signs_in())
    grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=metadata)
    grpc_stub.UpdateCurrentUser(auth_pb2.UpdateCurrentUserRequest(display_name="Anna"), metadata=metadata)
    assert [event.rpc for event in events(subject=user.id)] == [f"{SERVICE}.UpdateCurrentUser"]


def test_the_list_is_paged_and_for_admins_only(grpc_stub: AuthServiceStub, root: Metadata, ann: Person, events: Events) -> None:
    user = ann.signs_up()
    metadata = ann.by(ann.signs_in())
    for name in ("A", "B", "C"):
        grpc_stub.UpdateCurrentUser(auth_pb2.UpdateCurrentUserRequest(display_name=name), metadata=metadata)
    eventually(lambda: len(events(subject=user.id)) == 3)
    request = auth_pb2.ListAuditEventsRequest(subject=user.id, page_size=2)
    first = grpc_stub.ListAuditEvents(request, metadata=root)
    request.page_token = first.next_page_token
    second = grpc_stub.ListAuditEvents(request, metadata=root)
    times = [event.event_time.ToNanoseconds() for event in (*first.events, *second.events)]
    assert len(times) == 3 and times == sorted(times, reverse=True)
    assert second.next_page_token == ""
    request = auth_pb2.ListAuditEventsRequest(subject=user.id, end_time=second.events[0].event_time)
    assert not grpc_stub.ListAuditEvents(request, metadata=root).events
    assert error_of(lambda: grpc_stub.ListAuditEvents(request, metadata=metadata)).code == grpc.StatusCode.PERMISSION_DENIED


def test_a_service_records_its_own_events_only_and_each_once(grpc_stub: AuthServiceStub, root: Metadata) -> None:
    token = grpc_stub.IssueToken(
        auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id="catalog", client_secret=SERVICE_SECRET)
    )
    metadata = (("authorization", f"Bearer {token.access_token}"),)
    event = auth_pb2.AuditEvent(
        id="7b1f5d1e-5a55-4b1e-9d0a-3c1d4f6a7b8c", rpc="hashiramart.catalog.v1.CatalogService.DeleteProduct", code="OK", call_count=1
    )
    event.event_time.GetCurrentTime()
    for _ in range(2):
        grpc_stub.RecordAuditEvents(auth_pb2.RecordAuditEventsRequest(events=[event]), metadata=metadata)
    listed = grpc_stub.ListAuditEvents(auth_pb2.ListAuditEventsRequest(rpc=event.rpc), metadata=root).events
    assert list(listed) == [event]
    event.rpc = f"{SERVICE}.UpdateUser"
    error = error_of(lambda: grpc_stub.RecordAuditEvents(auth_pb2.RecordAuditEventsRequest(events=[event]), metadata=metadata))
    assert error.code == grpc.StatusCode.PERMISSION_DENIED


def test_events_outlive_the_process_and_end_after_their_retention(folder: Path, own_database: str) -> None:
    with Auth(folder, own_database, AUTH_AUDIT_RETENTION="PT1H") as auth:
        with auth.stub() as stub:
            Person(stub).signs_up()
        old = "VALUES (gen_random_uuid(), now() - interval '2 hours', '', '', '', '', '', '', '', '', 1)"
        sql(own_database, f"INSERT INTO auth.audit_events {old}")
        auth.stop()
        assert [row["rpc"] for row in sql(own_database, "SELECT rpc FROM auth.audit_events WHERE rpc <> ''")] == [f"{SERVICE}.CreateUser"]
        auth.start()
        eventually(lambda: len(sql(own_database, "SELECT rpc FROM auth.audit_events")) == 1)
    assert '"event": "audit"' in auth.log
