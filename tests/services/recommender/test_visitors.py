"""Visitors get recommendations as users do, and their history becomes a user's."""

import uuid
from datetime import timedelta

import grpc

from hashiramart.recommender.v1 import recommender_pb2
from mesh.identity import Role
from tests.loops import Loop
from tests.services.errors import fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import RecommenderReplica
from tests.services.recommender.shopper import Shopper, event, kinds, step
from tests.services.waiting import eventually

VIEW, CART = recommender_pb2.EVENT_KIND_VIEW, recommender_pb2.EVENT_KIND_CART


def test_a_visitors_recommendations_follow_what_they_look_at(caller: Caller) -> None:
    visitor = caller(role=Role.VISITOR)
    assert step(visitor.recommendations()) == "POPULARITY"
    visitor.view("coffee03")
    response = visitor.recommendations()
    assert (step(response), kinds(response)[0]) == ("BASKET", "BECAUSE_OF_BASKET")


def test_a_visitors_history_becomes_the_users(caller: Caller, service: Shopper, auth: Shopper) -> None:
    start = service.events(page_size=10_000).end_number
    visitor_id, user_id = str(uuid.uuid4()), str(uuid.uuid4())
    visitor, user = caller(role=Role.VISITOR, subject=visitor_id), caller(subject=user_id)
    visitor.record(event(VIEW, "coffee03", id="a"), event(CART, "coffee04", id="b"))
    user.record(event(VIEW, "tea01", id="b"))
    exported = service.events(start).end_number
    for _ in range(2):
        auth.hand_over(visitor_id, user_id, "81")
    later = service.events(exported)
    assert [*later.forgotten_user_ids][:1] == [visitor_id]
    assert [(each.id, each.user_id, each.customer_number) for each in later.events] == [("a", user_id, "81")]
    assert step(user.recommendations()) == "BASKET"
    # The visitor's token has served.
    with fails_with(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"):
        visitor.view("coffee03")


def test_the_history_of_a_deleted_users_visitor_is_deleted(caller: Caller, service: Shopper, auth: Shopper) -> None:
    visitor_id, user_id = str(uuid.uuid4()), str(uuid.uuid4())
    caller(role=Role.VISITOR, subject=visitor_id).view("coffee03")
    auth.forget(user_id)
    auth.hand_over(visitor_id, user_id)
    assert {visitor_id, user_id}.isdisjoint(each.user_id for each in service.events(page_size=10_000).events)


def test_a_visitor_who_stays_away_is_forgotten(
    caller: Caller, service: Shopper, staff: Shopper, replica: RecommenderReplica, loop: Loop
) -> None:
    visitor_id = str(uuid.uuid4())
    visitor = caller(role=Role.VISITOR, subject=visitor_id)
    visitor.view("coffee03")
    visitor.recommendations()
    eventually(lambda: bool(staff.exposures(user_id=visitor_id).exposures))
    loop.run(replica.events.forget_expired_visitors(timedelta(days=90)))
    assert visitor_id in {each.user_id for each in service.events(page_size=10_000).events}
    assert staff.exposures(user_id=visitor_id).exposures
    loop.run(replica.events.forget_expired_visitors(timedelta(0)))
    assert visitor_id not in {each.user_id for each in service.events(page_size=10_000).events}
    assert not staff.exposures(user_id=visitor_id).exposures


def test_visitors_neither_list_nor_forget_nor_hand_over(caller: Caller) -> None:
    visitor, other = caller(role=Role.VISITOR), str(uuid.uuid4())
    for call in (visitor.events, visitor.exposures, lambda: visitor.forget(other), lambda: visitor.hand_over(other, other)):
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()
