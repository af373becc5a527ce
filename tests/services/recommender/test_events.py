"""Events are recorded once, listed in order, and deleted with their user."""

import time
import uuid
from collections.abc import Callable

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from hashiramart.recommender.v1 import recommender_pb2
from mesh.identity import Role
from tests.services.errors import fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.shopper import Shopper, event, step

VIEW, CART, PURCHASE = recommender_pb2.EVENT_KIND_VIEW, recommender_pb2.EVENT_KIND_CART, recommender_pb2.EVENT_KIND_PURCHASE


def test_an_event_is_listed_as_it_was_recorded(caller: Caller, service: Shopper) -> None:
    end = service.events(page_size=10_000).next_page_token
    user, then = str(uuid.uuid4()), Timestamp(seconds=1_600_000_000)
    recorded = event(PURCHASE, "tea01", id="one", quantity=3, event_time=then, model_version="7")
    caller("04", subject=user).record(recorded)
    [listed] = service.events(end).events
    recorded.user_id, recorded.customer_number = user, "04"
    assert listed == recorded


def test_omitted_fields_get_defaults(caller: Caller, service: Shopper) -> None:
    end, before = service.events(page_size=10_000).next_page_token, time.time()
    caller().record(event(VIEW, "tea01"))
    [listed] = service.events(end).events
    assert (listed.quantity, listed.customer_number, bool(listed.id)) == (1, "", True)
    assert before - 1 < listed.event_time.seconds < time.time() + 1


def test_an_event_id_is_recorded_once_per_user(caller: Caller) -> None:
    ann, bob = caller(), caller()
    assert ann.record(event(VIEW, "tea01", id="a"), event(VIEW, "tea02", id="b"), event(VIEW, "tea02", id="b")) == (2, 1)
    assert ann.record(event(VIEW, "tea01", id="a"), event(VIEW, "tea03", id="c")) == (1, 1)
    assert bob.record(event(VIEW, "tea01", id="a")) == (1, 0)


def test_a_repeated_request_is_recorded_once(caller: Caller, service: Shopper) -> None:
    ann, bob = caller(), caller()
    end = service.events(page_size=10_000).next_page_token
    for _ in range(2):
        assert ann.record(event(VIEW, "tea01"), event(VIEW, "tea02"), request_id="again") == (2, 0)
    assert len(service.events(end).events) == 2
    assert bob.record(event(VIEW, "tea01"), request_id="again") == (1, 0)
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        ann.record(event(VIEW, "tea03"), request_id="again")


def test_a_time_in_the_future_is_invalid(new_user: Shopper) -> None:
    soon, late = Timestamp(seconds=int(time.time()) + 120), Timestamp(seconds=int(time.time()) + 600)
    assert new_user.record(event(VIEW, "tea01", event_time=soon)) == (1, 0)
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        new_user.record(event(VIEW, "tea01"), event(VIEW, "tea01", event_time=late))
    assert list(violations) == ["events[1].event_time"]


def test_a_time_out_of_range_is_invalid(new_user: Shopper) -> None:
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        new_user.record(event(VIEW, "tea01", event_time=Timestamp(seconds=-(10**12))))
    assert list(violations) == ["events[0].event_time"]


def test_events_are_listed_in_the_order_of_recording_and_a_token_resumes(caller: Caller, service: Shopper) -> None:
    end = service.events(page_size=10_000).next_page_token
    caller().record(*(event(VIEW, f"tea{number:02}") for number in range(5)))
    first = service.events(end, page_size=3)
    second = service.events(first.next_page_token, page_size=3)
    assert [[listed.product_id for listed in page.events] for page in (first, second)] == [["tea00", "tea01", "tea02"], ["tea03", "tea04"]]
    assert (first.has_more, second.has_more) == (True, False)
    assert list(service.events(second.next_page_token).events) == []
    caller().record(event(CART, "tea09"))
    assert [listed.product_id for listed in service.events(second.next_page_token).events] == ["tea09"]


def test_a_cart_counts_until_the_product_is_bought(new_user: Shopper) -> None:
    new_user.record(event(CART, "coffee03"))
    assert step(new_user.recommendations()) == "BASKET"
    new_user.record(event(PURCHASE, "coffee03"))
    assert step(new_user.recommendations()) == "RANKER"


def test_an_old_view_does_not_count(new_user: Shopper) -> None:
    new_user.record(event(VIEW, "coffee03", event_time=Timestamp(seconds=int(time.time()) - 40 * 24 * 60 * 60)))
    assert step(new_user.recommendations()) == "POPULARITY"


def test_a_forgotten_user_leaves_no_events_and_cannot_record_any(caller: Caller, service: Shopper) -> None:
    user = str(uuid.uuid4())
    ann = caller(subject=user)
    ann.record(event(VIEW, "coffee03"), request_id="once")
    for _ in range(2):
        service.forget(user)
    assert user not in {listed.user_id for listed in service.events(page_size=10_000).events}
    assert step(ann.recommendations()) == "POPULARITY"
    with fails_with(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"):
        ann.record(event(VIEW, "coffee03"))


def test_each_forgotten_user_is_listed_once_among_the_events(caller: Caller, service: Shopper) -> None:
    end = service.events(page_size=10_000).next_page_token
    ann, bob = str(uuid.uuid4()), str(uuid.uuid4())
    caller(subject=ann).record(event(VIEW, "tea00"))
    caller().record(event(VIEW, "tea01"))
    for user in (ann, bob, ann):
        service.forget(user)
    caller().record(event(VIEW, "tea02"), event(VIEW, "tea03"))
    first = service.events(end, page_size=2)
    second = service.events(first.next_page_token, page_size=2)
    third = service.events(second.next_page_token, page_size=2)
    pages = [([listed.product_id for listed in page.events], [*page.forgotten_user_ids]) for page in (first, second, third)]
    assert pages == [(["tea01", "tea02"], [ann, bob]), (["tea03"], []), ([], [])]
    assert [page.has_more for page in (first, second, third)] == [True, False, False]


def test_only_services_list_events_and_forget_users(caller: Caller) -> None:
    admin = caller(role=Role.ADMIN)
    calls: list[Callable[[], object]] = [admin.events, lambda: admin.forget(str(uuid.uuid4()))]
    for call in calls:
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()
