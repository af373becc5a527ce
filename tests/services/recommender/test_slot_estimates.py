"""What a slot would earn with other settings is estimated from what it has shown."""

import uuid
from collections.abc import Iterator

import grpc
import pytest

from hashiramart.recommender.v1 import merchandising_pb2, recommender_pb2, shadows_pb2
from mesh.identity import Role
from tests.services.errors import fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import RecommenderReplica
from tests.services.recommender.shopper import Shopper, event, ids
from tests.services.waiting import eventually

SHELF = merchandising_pb2.Slot(id="shelf", size=3, exploration_share=0.2)
LISTS = 150


@pytest.fixture(scope="module")
def shown(replica: RecommenderReplica) -> list[str]:
    """Whether the shelf has shown its lists already."""
    return []


@pytest.fixture
def favourite(shown: list[str], caller: Caller, staff: Shopper, replica: RecommenderReplica) -> Iterator[str]:
    """The first product of the shelf, which explores: all visitors get the same lists, and click on it whenever they see it."""
    if not shown:
        staff.write_slot("shelf", size=3)
        eventually(lambda: "shelf" in replica.merchandising.current.slots)
        first = caller(role=Role.VISITOR)
        response = first.recommendations(slot="shelf")
        shown.append(ids(response)[0])
        first.record(event(recommender_pb2.EVENT_KIND_CLICK, shown[0], recommendation_id=response.recommendation_id))
        staff.write_slot("shelf", size=3, exploration_share=0.2)
        eventually(lambda: bool(replica.merchandising.current.slots["shelf"].exploration_share))
        for _ in range(LISTS):
            visitor = caller(role=Role.VISITOR, subject=str(uuid.uuid4()))
            response = visitor.recommendations(slot="shelf")
            if shown[0] in ids(response):
                visitor.record(event(recommender_pb2.EVENT_KIND_CLICK, shown[0], recommendation_id=response.recommendation_id))
        eventually(lambda: estimate(staff).estimated_list_count == LISTS + 1)
    yield shown[0]


def estimate(staff: Shopper, slot: merchandising_pb2.Slot = SHELF, *rules: merchandising_pb2.Rule) -> shadows_pb2.SlotEstimate:
    request = shadows_pb2.EstimateSlotRequest(slot=slot, rules=rules)
    return staff.stub.EstimateSlot(request, metadata=staff.metadata, timeout=60)


def test_a_slot_as_it_is_earns_what_its_lists_do_without_exploration(favourite: str, staff: Shopper) -> None:
    found = estimate(staff)
    clicks, revenue = found.values
    assert found.is_supported
    assert found.supported_share == pytest.approx(1, abs=0.15)
    # Everybody who sees the first product clicks on it, which exploration keeps from some.
    assert clicks.self_normalised.value == pytest.approx(1)
    assert clicks.shown.value < 1
    assert clicks.doubly_robust.value == pytest.approx(1, abs=0.15)
    assert clicks.doubly_robust.lower < clicks.doubly_robust.value < clicks.doubly_robust.upper
    assert revenue.self_normalised.value == 0


def test_a_rule_is_estimated_before_it_is_written(favourite: str, staff: Shopper) -> None:
    """Without the product that they click on, shoppers click on nothing; what moves up was hardly ever shown there."""
    rule = merchandising_pb2.Rule(id="draft", action=merchandising_pb2.RULE_ACTION_EXCLUDE, product_id=favourite, slot="shelf")
    found = estimate(staff, SHELF, rule)
    assert found.values[0].self_normalised.value == 0
    assert found.supported_share < 0.8
    assert not found.is_supported


def test_a_smaller_list_is_known_from_larger_ones(favourite: str, staff: Shopper) -> None:
    found = estimate(staff, merchandising_pb2.Slot(id="shelf", size=1))
    assert found.supported_share == pytest.approx(1, abs=0.15)
    assert found.values[0].self_normalised.value == pytest.approx(1)


def test_a_slot_that_has_shown_nothing_is_not_supported(staff: Shopper) -> None:
    found = estimate(staff, merchandising_pb2.Slot(id="email"))
    assert (found.estimated_list_count, found.is_supported, len(found.values)) == (0, False, 0)


def test_what_the_log_does_not_tell_is_refused(staff: Shopper, new_user: Shopper) -> None:
    audience = merchandising_pb2.Audience(countries=["France"])
    rule = merchandising_pb2.Rule(id="draft", action=merchandising_pb2.RULE_ACTION_BOOST, category="Tea", slot="email", audience=audience)
    similar = merchandising_pb2.Slot(id="email", source=merchandising_pb2.SLOT_SOURCE_SIMILAR)
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        estimate(staff, similar, rule)
    assert list(violations) == ["slot.source", "rules[0].audience"]
    with fails_with(grpc.StatusCode.NOT_FOUND, "SLOT_NOT_FOUND"):
        estimate(staff, merchandising_pb2.Slot(id="nowhere"))
    with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        estimate(new_user)
