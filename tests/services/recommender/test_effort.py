"""What recording events and arranging lists costs the recommender, in CPU time of the thread that serves."""

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from hashiramart.recommender.v1 import merchandising_pb2, recommender_pb2
from tests.loops import Loop
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import RecommenderReplica
from tests.services.recommender.shopper import Shopper, event
from tests.services.waiting import eventually

MAX_EVENTS = 500
ROUNDS = 8

Effort = Callable[[Callable[[], object]], float]


@pytest.fixture
def effort(loop: Loop) -> Effort:
    """Measures the CPU time of the loop's thread during a call, in milliseconds: the least of some calls, which nothing else disturbed."""

    async def now() -> float:
        return time.thread_time()

    def effort(call: Callable[[], object]) -> float:
        measured = []
        for _ in range(ROUNDS):
            before = loop.run(now())
            call()
            measured.append(1000 * (loop.run(now()) - before))
        return min(measured)

    return effort


@pytest.fixture
def busy_slot(staff: Shopper, replica: RecommenderReplica) -> Iterator[str]:
    """A slot with a cap, exploration, rules of each kind and an experiment that runs."""
    staff.write_slot("busy", size=10, max_per_category=6, exploration_share=0.2)
    rules = {
        "busy-pin": staff.write_rule("busy-pin", merchandising_pb2.RULE_ACTION_PIN, slot="busy", product_id="coffee11", position=2),
        "busy-boost": staff.write_rule("busy-boost", merchandising_pb2.RULE_ACTION_BOOST, slot="busy", product_id="coffee03", strength=3),
        "busy-bury": staff.write_rule("busy-bury", merchandising_pb2.RULE_ACTION_BURY, slot="busy", product_id="tea01", strength=3),
        "busy-exclude": staff.write_rule("busy-exclude", merchandising_pb2.RULE_ACTION_EXCLUDE, slot="busy", product_id="tea02"),
    }
    staff.write_experiment("busy", treatment={"id": "busy", "size": 8, "exploration_share": 0.1}, traffic_share=1)
    staff.start("busy")
    eventually(lambda: "busy" in replica.merchandising.current.running and rules.keys() <= replica.merchandising.current.rules.keys())
    yield "busy"
    staff.stop("busy")
    staff.delete_experiment("busy")
    for id in rules:
        staff.delete_rule(id)
    staff.delete_slot("busy")


def test_the_most_events_of_a_call_take_less_than_20_milliseconds(caller: Caller, effort: Effort) -> None:
    """Of a front end that reports all that happened on a page, with the lists that it follows from."""
    shopper = caller()
    led = {"recommendation_id": shopper.recommendations(slot="home").recommendation_id, "slot": "home", "position": 1}

    def record() -> None:
        events = (event(recommender_pb2.EVENT_KIND_CLICK, "tea01", id=str(uuid.uuid4()), **led) for _ in range(MAX_EVENTS))
        assert shopper.record(*events) == (MAX_EVENTS, 0)

    assert effort(record) < 20


def test_rules_an_experiment_and_exploration_cost_less_than_the_list_itself(caller: Caller, effort: Effort, busy_slot: str) -> None:
    """On a quiet machine 0.5 ms of 1.1: a ratio, because a busy one doubles both."""
    shopper, lists = caller("04"), 5

    def plain() -> None:
        for _ in range(lists):
            shopper.recommendations(page_size=10)

    def arranged() -> None:
        for _ in range(lists):
            assert shopper.recommendations(slot=busy_slot).experiment_id == "busy"

    # In turns, so that a busy moment is that of both.
    measured = [(effort(plain), effort(arranged)) for _ in range(3)]
    assert min(arranged for _, arranged in measured) < 2 * min(plain for plain, _ in measured)
