"""What was recommended to whom is logged, and so is what it led to."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta

from hashiramart.recommender.v1 import merchandising_pb2, recommender_pb2
from mesh.identity import Role
from tests.engines.postgres import Postgres
from tests.loops import Loop
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import RecommenderReplica
from tests.services.recommender.shopper import Shopper, event, ids
from tests.services.waiting import eventually

LONGEST_SECONDS = 30
CLICK, IMPRESSION = recommender_pb2.EVENT_KIND_CLICK, recommender_pb2.EVENT_KIND_IMPRESSION


def test_a_list_is_logged_with_what_it_showed(caller: Caller, staff: Shopper) -> None:
    user = str(uuid.uuid4())
    first = caller(subject=user).recommendations(page_size=3, slot="home")
    second = caller(subject=user).recommendations(page_size=3, slot="home", page_token=first.next_page_token)
    eventually(lambda: len(staff.exposures(user_id=user).exposures) == 2)
    later, earlier = staff.exposures(user_id=user, slot="home").exposures
    assert [each.recommendation_id for each in (earlier, later)] == [first.recommendation_id, second.recommendation_id]
    assert [product.product_id for product in earlier.products] == ids(first)
    assert [product.position for product in later.products] == [4, 5, 6]
    assert {product.propensity for product in later.products} == {1}
    assert (earlier.slot, earlier.model_version, earlier.fallback_step) == ("home", first.model_version, first.fallback_step)
    assert not staff.exposures(user_id=user, slot="basket").exposures
    assert list(staff.exposures(recommendation_id=first.recommendation_id).exposures) == [earlier]


def test_lists_are_found_by_a_rule_that_moved_a_product_in_them(caller: Caller, staff: Shopper) -> None:
    user = str(uuid.uuid4())
    ann = caller(subject=user)
    last = ids(ann.recommendations(page_size=100))[-1]
    # The rule is called like a product, which it does not move.
    staff.write_rule("tea01", merchandising_pb2.RULE_ACTION_PIN, product_id=last, position=2)
    eventually(lambda: ids(ann.recommendations(page_size=3))[1] == last)
    staff.delete_rule("tea01")
    eventually(lambda: last not in ids(ann.recommendations(page_size=3)))
    eventually(lambda: bool(staff.exposures(user_id=user, rule_id="tea01").exposures))
    for found in staff.exposures(user_id=user, rule_id="tea01").exposures:
        assert [each.rule_id for each in found.products] == ["", "tea01", ""]
    assert not staff.exposures(user_id=user, rule_id=last).exposures


def test_a_list_waits_less_than_a_second_for_the_log(caller: Caller, staff: Shopper) -> None:
    """So a replica that is killed loses no more. The shortest of some waits, which no pause of the machine makes longer."""
    waits = []
    for user in (str(uuid.uuid4()) for _ in range(3)):
        caller(subject=user).recommendations()
        shown = time.monotonic()
        while not staff.exposures(user_id=user).exposures:
            assert time.monotonic() - shown < LONGEST_SECONDS
        waits.append(time.monotonic() - shown)
    assert min(waits) < 1


def test_exposures_are_paged(caller: Caller, staff: Shopper) -> None:
    user = str(uuid.uuid4())
    made = [caller(subject=user).popular(page_size=1).recommendation_id for _ in range(3)]
    eventually(lambda: len(staff.exposures(user_id=user).exposures) == 3)
    first = staff.exposures(user_id=user, page_size=2)
    second = staff.exposures(user_id=user, page_size=2, page_token=first.next_page_token)
    assert [each.recommendation_id for page in (first, second) for each in page.exposures] == made[::-1]
    assert second.next_page_token == ""


def test_what_follows_from_a_list_is_attributed_to_what_it_showed_to_whom(caller: Caller, staff: Shopper) -> None:
    """An impression of another product, or by somebody else, is recorded and not attributed; a click needs no impression."""
    user = str(uuid.uuid4())
    ann, bob = caller(subject=user), caller()
    response = ann.recommendations(page_size=2)
    top, next_best = ids(response)
    other = next(id for id in ("tea01", "tea02", "tea03") if id not in (top, next_best))
    led = {"recommendation_id": response.recommendation_id}
    assert ann.record(event(IMPRESSION, top, **led), event(CLICK, next_best, **led), event(IMPRESSION, other, **led)) == (3, 0)
    assert bob.record(event(CLICK, top, **led)) == (1, 0)
    eventually(lambda: len(staff.exposures(user_id=user).exposures) == 1)
    [logged] = staff.exposures(user_id=user).exposures
    assert [(product.product_id, [*product.event_kinds]) for product in logged.products] == [(top, [IMPRESSION]), (next_best, [CLICK])]


def test_lists_without_a_known_shopper_and_of_customers_are_not_logged(staff: Shopper, ann: Shopper) -> None:
    anonymous = Shopper(ann.stub, ())
    assert [each.recommendation_id for each in (anonymous.popular(), anonymous.similar("tea01"), staff.of_customer("04"))] == ["", "", ""]


def test_forgotten_users_and_visitors_leave_the_log(caller: Caller, staff: Shopper, auth: Shopper) -> None:
    user, visitor, heir = (str(uuid.uuid4()) for _ in range(3))
    caller(subject=user).recommendations()
    caller(role=Role.VISITOR, subject=visitor).recommendations()
    eventually(lambda: all(staff.exposures(user_id=id).exposures for id in (user, visitor)))
    auth.forget(user)
    auth.hand_over(visitor, heir)
    assert [len(staff.exposures(user_id=id).exposures) for id in (user, visitor, heir)] == [0, 0, 1]
    # Their tokens are still valid.
    caller(subject=user).recommendations()
    late = caller(subject=heir).recommendations().recommendation_id
    eventually(lambda: late in {each.recommendation_id for each in staff.exposures(user_id=heir).exposures})
    assert not staff.exposures(user_id=user).exposures


def test_exposures_expire(caller: Caller, staff: Shopper, replica: RecommenderReplica, loop: Loop) -> None:
    user = str(uuid.uuid4())
    caller(subject=user).recommendations()
    eventually(lambda: len(staff.exposures(user_id=user).exposures) == 1)
    loop.run(replica.exposures.delete_expired(timedelta(days=90)))
    assert len(staff.exposures(user_id=user).exposures) == 1
    loop.run(replica.exposures.delete_expired(timedelta(0)))
    assert not staff.exposures(user_id=user).exposures


def test_the_log_of_exposures_has_those_before_a_time_once(caller: Caller, staff: Shopper, service: Shopper) -> None:
    user, now = str(uuid.uuid4()), datetime.now(UTC)
    ann = caller(subject=user)
    start = service.exposure_log(now + timedelta(hours=1), page_size=10_000).end_number
    made = [ann.popular(page_size=1) for _ in range(3)]
    ann.record(event(CLICK, ids(made[0])[0], recommendation_id=made[0].recommendation_id))
    eventually(lambda: len(staff.exposures(user_id=user).exposures) == 3)
    assert not service.exposure_log(now, start).exposures
    first = service.exposure_log(now + timedelta(hours=1), start, page_size=2)
    second = service.exposure_log(now + timedelta(hours=1), start, page_token=first.next_page_token, page_size=2)
    assert [[each.recommendation_id for each in page.exposures] for page in (first, second)] == [
        [each.recommendation_id for each in made[:2]],
        [made[2].recommendation_id],
    ]
    assert list(first.exposures[0].products[0].event_kinds) == [CLICK]
    assert second.next_page_token == ""
    assert not service.exposure_log(now + timedelta(hours=1), second.end_number).exposures


def test_exposures_that_were_handed_over_are_in_the_log_again_and_forgotten_ones_are_not(
    caller: Caller, staff: Shopper, service: Shopper, auth: Shopper
) -> None:
    visitor, heir, before = str(uuid.uuid4()), str(uuid.uuid4()), datetime.now(UTC) + timedelta(hours=1)
    made = caller(role=Role.VISITOR, subject=visitor).recommendations().recommendation_id
    eventually(lambda: len(staff.exposures(user_id=visitor).exposures) == 1)
    end = service.exposure_log(before, page_size=10_000).end_number
    auth.hand_over(visitor, heir)
    later = service.exposure_log(before, end)
    assert [(each.recommendation_id, each.user_id) for each in later.exposures] == [(made, heir)]
    auth.forget(heir)
    assert not service.exposure_log(before, end).exposures


def test_exposures_wait_for_the_database(caller: Caller, staff: Shopper, postgres: Postgres, loop: Loop) -> None:
    user = str(uuid.uuid4())
    with postgres.stopped():
        made = caller(subject=user).recommendations().recommendation_id
        loop.run(asyncio.sleep(1))
    eventually(lambda: [each.recommendation_id for each in staff.exposures(user_id=user).exposures] == [made])
