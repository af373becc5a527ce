"""Events are recorded once, listed in order, and deleted with their user."""

import time
import uuid
from collections.abc import Callable
from datetime import datetime

import asyncpg
import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from hashiramart.recommender.v1 import recommender_pb2
from mesh.identity import Role
from tests.loops import Loop
from tests.ml.recommender.shop import OPENING
from tests.services.errors import fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import SHOP_ZONE
from tests.services.recommender.shopper import Shopper, event, ids, step

DAY = 24 * 60 * 60
# The first second that a timestamp may have.
YEAR_ONE = -62_135_596_800
VIEW, CART, PURCHASE = recommender_pb2.EVENT_KIND_VIEW, recommender_pb2.EVENT_KIND_CART, recommender_pb2.EVENT_KIND_PURCHASE


def test_an_event_is_listed_as_it_was_recorded(till: Shopper, service: Shopper) -> None:
    end = service.events(page_size=10_000).end_number
    recorded = event(
        PURCHASE,
        "tea01",
        id="one",
        quantity=3,
        event_time=Timestamp(seconds=int(time.time()) - DAY),
        user_id=str(uuid.uuid4()),
        customer_number="04",
        model_version="7",
        recommendation_id="0000cv8q1p3g5h7k",
        slot="home",
        position=2,
        order_id="o-1",
        unit_price_cents=0,
        context={"device": "phone", "page": "tea"},
    )
    till.record(recorded)
    assert list(service.events(end).events) == [recorded]


def test_omitted_fields_get_defaults(caller: Caller, service: Shopper) -> None:
    end, before = service.events(page_size=10_000).end_number, time.time()
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
    end = service.events(page_size=10_000).end_number
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


def test_events_are_listed_in_the_order_of_recording_and_continued_from_a_number(caller: Caller, service: Shopper) -> None:
    end = service.events(page_size=10_000).end_number
    caller().record(*(event(VIEW, f"tea{number:02}") for number in range(5)))
    first = service.events(end, page_size=3)
    second = service.events(end, first.next_page_token, page_size=3)
    assert [[listed.product_id for listed in page.events] for page in (first, second)] == [["tea00", "tea01", "tea02"], ["tea03", "tea04"]]
    assert second.next_page_token == ""
    nothing = service.events(second.end_number)
    assert (list(nothing.events), nothing.next_page_token, nothing.end_number) == ([], "", second.end_number)
    caller().record(event(CART, "tea09"))
    assert [listed.product_id for listed in service.events(second.end_number).events] == ["tea09"]


def test_a_cart_counts_until_the_product_is_bought(new_user: Shopper) -> None:
    new_user.record(event(CART, "coffee03"))
    assert step(new_user.recommendations()) == "BASKET"
    new_user.record(event(PURCHASE, "coffee03"))
    assert step(new_user.recommendations()) == "RANKER"


def test_what_shoppers_report_is_at_most_30_days_old(new_user: Shopper) -> None:
    now = int(time.time())
    assert new_user.record(event(VIEW, "coffee03", event_time=Timestamp(seconds=now - 29 * DAY))) == (1, 0)
    for seconds in (now - 31 * DAY, YEAR_ONE):
        with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
            new_user.record(event(VIEW, "coffee03", event_time=Timestamp(seconds=seconds)))
        assert list(violations) == ["events[0].event_time"]


def test_what_an_order_system_reports_lies_within_the_sales_history(till: Shopper, staff: Shopper) -> None:
    opening = int(datetime.combine(OPENING, datetime.min.time(), SHOP_ZONE).timestamp())
    for caller in (till, staff):
        caller.record(event(PURCHASE, "tea01", customer_number="77", event_time=Timestamp(seconds=opening + DAY)))
        for seconds in (opening - 10 * DAY, YEAR_ONE):
            with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
                caller.record(event(PURCHASE, "tea01", customer_number="77", event_time=Timestamp(seconds=seconds)))
            assert list(violations) == ["events[0].event_time"]


def test_a_clock_that_is_a_little_fast_records_as_of_now(new_user: Shopper, service: Shopper) -> None:
    end = service.events(page_size=10_000).end_number
    new_user.record(event(VIEW, "tea01", event_time=Timestamp(seconds=int(time.time()) + 120)))
    [listed] = service.events(end).events
    assert listed.event_time.seconds <= time.time()


def test_only_products_of_the_catalogue_or_the_model_have_events(new_user: Shopper, service: Shopper) -> None:
    end = service.events(page_size=10_000).end_number
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        new_user.record(event(VIEW, "tea01"), event(VIEW, "none"), event(VIEW, "tea02", order_id="o"))
    assert list(violations) == ["events[1].product_id", "events[2].order_id"]
    assert not service.events(end).events


def test_shoppers_report_nothing_of_others_and_an_order_system_says_of_whom(new_user: Shopper, till: Shopper) -> None:
    for shopper, fields in ((new_user, {"user_id": str(uuid.uuid4())}), (new_user, {"customer_number": "04"}), (till, {})):
        with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"):
            shopper.record(event(PURCHASE, "tea01", **fields))


def test_a_system_without_the_permission_and_a_service_record_nothing(caller: Caller, service: Shopper) -> None:
    for shopper, reason in ((caller(role=Role.SYSTEM, subject="mailer"), "PERMISSION_MISSING"), (service, "ROLE_NOT_ALLOWED")):
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, reason):
            shopper.record(event(VIEW, "tea01", user_id=str(uuid.uuid4())))


def test_a_purchase_that_a_shopper_reports_counts_for_the_shopper_alone(new_user: Shopper, till: Shopper, service: Shopper) -> None:
    end = service.events(page_size=10_000).end_number
    new_user.buy("coffee03")
    assert step(new_user.recommendations()) == "RANKER"
    assert not service.events(end).events
    till.record(event(PURCHASE, "coffee03", customer_number="78"))
    assert [listed.product_id for listed in service.events(end).events] == ["coffee03"]


def test_what_an_order_system_reports_acts_on_the_next_list(caller: Caller, till: Shopper) -> None:
    user = str(uuid.uuid4())
    for shopper, whose in ((caller(subject=user), {"user_id": user}), (caller("79"), {"customer_number": "79"})):
        assert step(shopper.recommendations()) == "POPULARITY"
        till.record(event(PURCHASE, "coffee03", **whose))
        assert step(shopper.recommendations()) == "RANKER"


def test_a_line_of_an_order_counts_once(caller: Caller, till: Shopper, staff: Shopper, service: Shopper) -> None:
    end, user, order = service.events(page_size=10_000).end_number, str(uuid.uuid4()), uuid.uuid4().hex
    ann = caller("80", subject=user)
    assert ann.record(event(PURCHASE, "tea01", order_id=order), event(PURCHASE, "tea01", order_id=order, id="again")) == (1, 1)
    line = event(PURCHASE, "tea01", order_id=order, customer_number="80", quantity=2)
    assert till.record(line, event(PURCHASE, "tea02", order_id=order, customer_number="80")) == (2, 0)
    assert till.record(line) == (0, 1)
    assert [(listed.product_id, listed.quantity) for listed in service.events(end).events] == [("tea01", 2), ("tea02", 1)]
    assert [(each.product_id, each.quantity) for each in staff.purchases("80").purchases] == [("tea01", 2), ("tea02", 1)]


def test_a_return_takes_the_purchase_back(new_user: Shopper) -> None:
    new_user.record(event(PURCHASE, "coffee03", quantity=2))
    new_user.record(event(recommender_pb2.EVENT_KIND_RETURN, "coffee03", quantity=2))
    assert step(new_user.recommendations()) == "POPULARITY"


def test_a_dismissed_product_leaves_the_next_list_until_it_is_wanted(new_user: Shopper) -> None:
    first = ids(new_user.recommendations())[0]
    new_user.record(event(recommender_pb2.EVENT_KIND_DISMISS, first))
    assert first not in ids(new_user.recommendations(page_size=100))
    new_user.record(event(recommender_pb2.EVENT_KIND_WISHLIST, first))
    assert first in ids(new_user.recommendations(page_size=100))


def test_what_was_taken_out_of_the_basket_does_not_count_whatever_arrives_first(new_user: Shopper) -> None:
    now = int(time.time())
    new_user.record(event(recommender_pb2.EVENT_KIND_REMOVE_FROM_CART, "coffee03", event_time=Timestamp(seconds=now - 10)))
    new_user.record(event(CART, "coffee03", event_time=Timestamp(seconds=now - 20)))
    assert step(new_user.recommendations()) == "POPULARITY"


def test_a_forgotten_user_leaves_no_events_and_cannot_record_any(caller: Caller, service: Shopper, auth: Shopper) -> None:
    user = str(uuid.uuid4())
    ann = caller(subject=user)
    ann.record(event(VIEW, "coffee03"), request_id="once")
    for _ in range(2):
        auth.forget(user)
    assert user not in {listed.user_id for listed in service.events(page_size=10_000).events}
    assert step(ann.recommendations()) == "POPULARITY"
    with fails_with(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"):
        ann.record(event(VIEW, "coffee03"))


def test_each_forgotten_user_is_listed_once_among_the_events(caller: Caller, service: Shopper, auth: Shopper) -> None:
    end = service.events(page_size=10_000).end_number
    ann, bob = str(uuid.uuid4()), str(uuid.uuid4())
    caller(subject=ann).record(event(VIEW, "tea00"))
    caller().record(event(VIEW, "tea01"))
    for user in (ann, bob, ann):
        auth.forget(user)
    caller().record(event(VIEW, "tea02"), event(VIEW, "tea03"))
    first = service.events(end, page_size=2)
    second = service.events(first.end_number, page_size=2)
    third = service.events(second.end_number, page_size=2)
    pages = [([listed.product_id for listed in page.events], [*page.forgotten_user_ids]) for page in (first, second, third)]
    assert pages == [(["tea01", "tea02"], [ann, bob]), (["tea03"], []), ([], [])]
    assert [bool(page.next_page_token) for page in (first, second, third)] == [True, False, False]


def test_a_user_whom_a_replica_of_an_older_version_has_forgotten_is_listed_too(loop: Loop, database_url: str, service: Shopper) -> None:
    start = service.events(page_size=10_000).end_number
    users = [str(uuid.uuid4()) for _ in range(2)]

    async def forget() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("INSERT INTO recommender.forgotten_users (user_id) SELECT unnest($1::text[])", users)
        await connection.close()

    loop.run(forget())
    assert sorted(service.events(start).forgotten_user_ids) == sorted(users)


def test_only_services_list_events_and_forget_users(caller: Caller) -> None:
    admin = caller(role=Role.ADMIN)
    calls: list[Callable[[], object]] = [admin.events, lambda: admin.forget(str(uuid.uuid4()))]
    for call in calls:
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()
