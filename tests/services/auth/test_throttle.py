"""Limits on sign-ins and sign-ups."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Person
from tests.services.auth.processes import Auth, sql
from tests.services.errors import error_of


def fail(who: Person, times: int) -> None:
    for _ in range(times):
        assert error_of(lambda: who.signs_in("wrong password")).reason == "INVALID_GRANT"


def fail_until_delayed(who: Person, database_url: str) -> None:
    fail(who, 1)
    sql(database_url, "UPDATE auth.attempts SET count = 18 WHERE key LIKE 'account and network%'")
    fail(who, 1)


def time_passes(database_url: str, minutes: float) -> None:
    sql(
        database_url,
        "UPDATE auth.attempts SET retry_time = retry_time - $1 * interval '1 minute', expire_time = expire_time - $1 * interval '1 minute'",
        minutes,
    )


def test_each_failed_sign_in_doubles_the_delay(ann: Person, database_url: str) -> None:
    ann.signs_up()
    fail(ann, 11)
    waits = []
    for _ in range(12):
        error = error_of(ann.signs_in)
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SIGN_INS")
        assert error.retry_seconds
        waits.append(error.retry_seconds)
        time_passes(database_url, error.retry_seconds / 60)
        fail(ann, 1)
    assert waits[:4] == pytest.approx([2, 4, 8, 16], abs=2)
    assert waits[-2:] == pytest.approx([900, 900], abs=2)


def test_every_spelling_of_an_address_counts_for_the_same_account(grpc_stub: AuthServiceStub, bob: Person) -> None:
    sam = Person(grpc_stub, "sam")
    sam.signs_up()
    sam.place = bob.place
    spellings = [sam.email, sam.email.upper(), sam.email.title(), sam.email.replace("s", "\u017f", 1), f" {sam.email} "]
    for spelling in spellings * 2:
        bob.email = spelling
        fail(bob, 1)
    bob.email = sam.email.swapcase()
    fail(bob, 1)
    assert error_of(sam.signs_in).reason == "TOO_MANY_SIGN_INS"


def test_blanks_around_an_address_are_ignored(ann: Person) -> None:
    ann.signs_up()
    ann.email = f"  {ann.email} "
    assert ann.signs_in().access_token


def test_the_delay_holds_after_a_restart(grpc_server: Auth, ann: Person, database_url: str) -> None:
    ann.signs_up()
    fail_until_delayed(ann, database_url)
    assert error_of(ann.signs_in).reason == "TOO_MANY_SIGN_INS"
    grpc_server.stop()
    grpc_server.start()
    assert error_of(ann.signs_in).reason == "TOO_MANY_SIGN_INS"


def test_an_attacker_elsewhere_does_not_lock_the_owner_out(ann: Person, bob: Person, database_url: str) -> None:
    ann.signs_up()
    bob.email = ann.email
    fail_until_delayed(bob, database_url)
    assert error_of(bob.signs_in).reason == "TOO_MANY_SIGN_INS"
    assert ann.signs_in().access_token


def test_attackers_in_many_networks_are_slowed_down_and_the_owner_signs_in_where_they_are_signed_in(
    grpc_stub: AuthServiceStub, ann: Person, database_url: str
) -> None:
    ann.signs_up_and_in()
    attackers = [Person(grpc_stub) for _ in range(12)]
    for attacker in attackers:
        attacker.email = ann.email
    for attacker in attackers[:10]:
        fail(attacker, 10)
    fail(attackers[10], 1)
    delayed = error_of(attackers[11].signs_in)
    assert delayed.reason == "TOO_MANY_SIGN_INS"
    assert ann.signs_in().access_token
    sql(database_url, "UPDATE auth.attempts SET count = 5000, retry_time = NULL WHERE key NOT LIKE 'account and%' AND count > 99")
    fail(attackers[10], 1)
    waits = error_of(attackers[11].signs_in).retry_seconds
    assert waits and 50 < waits <= 60
    assert ann.signs_in().access_token


def test_an_attempt_during_the_delay_does_not_extend_it(ann: Person, database_url: str) -> None:
    ann.signs_up()
    fail_until_delayed(ann, database_url)
    first, last = error_of(ann.signs_in).retry_seconds, None
    for _ in range(20):
        last = error_of(ann.signs_in).retry_seconds
    assert first and last and last <= first


def test_an_unknown_email_address_is_throttled_alike(ann: Person) -> None:
    fail(ann, 11)
    assert error_of(ann.signs_in).reason == "TOO_MANY_SIGN_INS"


def test_a_sign_in_clears_the_accounts_failures(ann: Person) -> None:
    ann.signs_up()
    for _ in range(3):
        fail(ann, 9)
        assert ann.signs_in().access_token


def test_failures_expire_after_15_minutes(ann: Person, database_url: str) -> None:
    fail(ann, 10)
    time_passes(database_url, 15.1)
    fail(ann, 10)


def test_concurrent_attempts_do_not_evade_the_limit(ann: Person) -> None:
    ann.signs_up()

    def reason(_: int) -> str:
        return error_of(lambda: ann.signs_in("wrong password")).reason

    with ThreadPoolExecutor(30) as threads:
        reasons = list(threads.map(reason, range(30)))
    assert 1 <= reasons.count("INVALID_GRANT") <= 11
    assert set(reasons) <= {"INVALID_GRANT", "TOO_MANY_SIGN_INS", "SIGN_IN_BUSY"}


def test_attempts_on_many_accounts_from_one_address_are_throttled(grpc_stub: AuthServiceStub, ann: Person, bob: Person) -> None:
    bob.signs_up()
    for _ in range(51):
        somebody = Person(grpc_stub)
        somebody.place = ann.place
        fail(somebody, 1)
    here = bob.place
    bob.place = ann.place
    assert error_of(bob.signs_in).reason == "TOO_MANY_SIGN_INS"
    bob.place = here
    assert bob.signs_in().access_token


def test_successful_sign_ins_do_not_count_against_the_address_and_are_limited_per_account(ann: Person, bob: Person) -> None:
    ann.signs_up()
    for _ in range(100):
        ann.signs_in()
    error = error_of(ann.signs_in)
    assert error.reason == "TOO_MANY_SIGN_INS"
    assert error.retry_seconds and error.retry_seconds <= 900
    bob.place = ann.place
    assert bob.signs_up_and_in().access_token


def test_a_user_has_a_limited_number_of_sign_ins_and_the_least_used_one_ends(ann: Person, database_url: str) -> None:
    first, second = ann.signs_up_and_in(), ann.signs_in()
    second = ann.refreshes(second)
    for _ in range(49):
        ann.signs_in()
    assert error_of(lambda: ann.refreshes(first)).reason == "INVALID_GRANT"
    assert ann.refreshes(second).access_token


def test_one_account_does_not_take_all_slots_for_hashing(grpc_stub: AuthServiceStub, ann: Person, bob: Person) -> None:
    ann.signs_up()
    bob.signs_up()
    request = auth_pb2.IssueTokenRequest(grant_type="password", username=ann.email, password=ann.password)
    flood = [grpc_stub.IssueToken.future(request, metadata=ann.place) for _ in range(90)]
    assert bob.signs_in().access_token
    refusals = [call.exception() for call in flood]
    assert any(refusals)
    assert not all(refusals)


def test_a_proxy_that_is_not_known_as_one_is_warned_of(grpc_stub: AuthServiceStub, folder: Path, own_database: str) -> None:
    with Auth(folder, own_database) as auth, auth.stub() as stub:
        for _ in range(50):
            somebody = Person(stub)
            somebody.place = (("x-forwarded-for", "10.1.2.3"),)
            fail(somebody, 1)
    assert "GATEWAY_TRUSTED_PROXIES" in auth.log


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:2::1", "2001:db8:0:3::1", False),
        ("198.51.100.1", "::ffff:198.51.100.1", True),
        ("203.0.113.9, 127.0.0.1", "203.0.113.9", True),
        # A caller can forge any entry to the left of the one that the proxy appends.
        ("1.2.3.4, 203.0.113.8", "5.6.7.8, 203.0.113.8", True),
        ("nonsense, 203.0.113.6", "203.0.113.6", True),
    ],
)
def test_the_client_address_is_what_a_trusted_proxy_reports(
    grpc_stub: AuthServiceStub, database_url: str, first: str, second: str, same: bool
) -> None:
    def counted(place: str) -> str:
        sql(database_url, "DELETE FROM auth.attempts")
        somebody = Person(grpc_stub)
        somebody.place = (("x-forwarded-for", place),)
        fail(somebody, 1)
        [row] = sql(database_url, "SELECT key FROM auth.attempts WHERE key LIKE 'address%'")
        return str(row["key"])

    assert (counted(first) == counted(second)) is same


def test_concurrent_sign_ins_from_one_address_do_not_block_each_other(grpc_stub: AuthServiceStub, ann: Person) -> None:
    people = [Person(grpc_stub) for _ in range(6)]
    for somebody in people:
        somebody.signs_up()
        somebody.place = ann.place
    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(lambda somebody: somebody.signs_in().access_token, 8 * people))


def test_only_a_trusted_proxy_is_believed(folder: Path, own_database: str) -> None:
    with Auth(folder, own_database, MESH_TRUSTED_PROXIES='["192.0.2.0/24"]') as auth, auth.stub() as stub:
        fail(Person(stub), 1)
    assert sql(own_database, "SELECT 1 FROM auth.attempts WHERE key = 'address 127.0.0.1'")


def test_sign_ups_from_one_address_are_throttled(grpc_stub: AuthServiceStub, ann: Person) -> None:
    def sign_up() -> object:
        somebody = Person(grpc_stub)
        somebody.place = ann.place
        return somebody.signs_up()

    for _ in range(51):
        sign_up()
    error = error_of(sign_up)
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SIGN_UPS")
    assert error.retry_seconds


def test_attempts_at_the_current_password_are_throttled_too(grpc_stub: AuthServiceStub, ann: Person) -> None:
    metadata = ann.by(ann.signs_up_and_in())

    def change(current_password: str) -> Callable[[], object]:
        request = auth_pb2.UpdateCurrentUserRequest(password="another password", current_password=current_password)
        return lambda: grpc_stub.UpdateCurrentUser(request, metadata=metadata)

    for _ in range(11):
        assert error_of(change("guess")).reason == "WRONG_PASSWORD"
    assert error_of(change(ann.password)).reason == "TOO_MANY_SIGN_INS"


def test_sign_ins_beyond_capacity_are_asked_to_retry(grpc_stub: AuthServiceStub) -> None:
    people = [Person(grpc_stub) for _ in range(400)]
    calls = [
        grpc_stub.IssueToken.future(
            auth_pb2.IssueTokenRequest(grant_type="password", username=somebody.email, password="some password"), metadata=somebody.place
        )
        for somebody in people
    ]
    errors = [error_of(call.result) for call in calls]
    assert {error.reason for error in errors} == {"INVALID_GRANT", "SIGN_IN_BUSY"}
    assert all(error.retry_seconds for error in errors if error.reason == "SIGN_IN_BUSY")
