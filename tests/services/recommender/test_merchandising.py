"""Slots and rules shape lists; broken ones are refused when they are written."""

import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from hashiramart.recommender.v1 import merchandising_pb2
from mesh.identity import Role
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.engines.postgres import Postgres
from tests.loops import Loop
from tests.services.errors import fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import CatalogServer, RecommenderReplica
from tests.services.recommender.shopper import Response, Shopper, ids
from tests.services.waiting import eventually

PIN, BOOST = merchandising_pb2.RULE_ACTION_PIN, merchandising_pb2.RULE_ACTION_BOOST
BURY, EXCLUDE = merchandising_pb2.RULE_ACTION_BURY, merchandising_pb2.RULE_ACTION_EXCLUDE

# Within which every replica has a change.
CHANGE_SECONDS = 2

Write = Callable[..., merchandising_pb2.Rule]


@pytest.fixture
def write(staff: Shopper, replica: RecommenderReplica) -> Iterator[Write]:
    """Writes rules, waits until they hold, and deletes them after the test."""
    written = []

    def write(id: str, action: merchandising_pb2.RuleAction.ValueType, **fields: object) -> merchandising_pb2.Rule:
        rule = staff.write_rule(id, action, **fields)
        written.append(id)
        eventually(lambda: replica.merchandising.current.rules.get(id) == rule)
        return rule

    yield write
    for id in written:
        staff.delete_rule(id)
    eventually(lambda: not replica.merchandising.current.rules)


def rules(response: Response) -> dict[str, str]:
    """The rules that moved products, by product."""
    return {each.product.id: each.rule_id for each in response.recommendations if each.rule_id}


def test_rules_shape_lists_and_are_named(new_user: Shopper, write: Write) -> None:
    before = ids(new_user.recommendations(page_size=100, slot="home"))
    pinned, boosted = before[-1], before[-2]
    write("out", EXCLUDE, product_id=before[0])
    write("top", PIN, product_id=pinned, position=2)
    write("down", BURY, product_id=before[1], strength=100)
    write("up", BOOST, product_id=boosted, strength=50)
    response = new_user.recommendations(page_size=5, slot="home")
    assert ids(response) == [boosted, pinned, *before[2:5]]
    assert rules(response) == {pinned: "top", boosted: "up"}
    whole = [id for page in new_user.pages(page_size=7, slot="home") for id in ids(page)]
    assert sorted(whole) == sorted({*whole}) and len(whole) == 24


def test_a_category_can_be_excluded(new_user: Shopper, write: Write) -> None:
    write("no-tea", EXCLUDE, category="Tea")
    assert {each.product.category for each in new_user.recommendations(page_size=100).recommendations} == {"Coffee", "Mugs"}


def test_a_rule_concerns_its_slot_time_and_audience(caller: Caller, write: Write) -> None:
    now = int(time.time())
    write("a-late", PIN, product_id="tea01", position=1, start_time=Timestamp(seconds=now + 1000))
    write("b-over", PIN, product_id="tea02", position=1, end_time=Timestamp(seconds=now - 1000))
    write("c-email", PIN, product_id="tea03", position=1, slot="email")
    write("d-france", PIN, product_id="tea04", position=1, audience={"countries": ["France"]})
    write("e-new", PIN, product_id="tea05", position=1, audience={"shoppers": merchandising_pb2.SHOPPER_KIND_NEW_VISITORS})
    write("f-users", PIN, product_id="tea06", position=1, audience={"shoppers": merchandising_pb2.SHOPPER_KIND_USERS})
    user, visitor = caller(), caller(role=Role.VISITOR)
    assert [ids(user.recommendations(slot=slot))[0] for slot in ("home", "email")] == ["tea06", "tea03"]
    assert ids(user.recommendations(slot="home", country="France"))[:2] == ["tea04", "tea06"]
    assert ids(visitor.recommendations())[0] == "tea05"
    visitor.view("coffee03")
    assert not rules(visitor.recommendations())


def test_a_slot_has_a_size_a_cap_a_source_and_explores(
    new_user: Shopper, staff: Shopper, replica: RecommenderReplica, caller: Caller
) -> None:
    slot = staff.write_slot("shelf", size=6, max_per_category=2)
    eventually(lambda: replica.merchandising.current.slots.get("shelf") == slot)
    response = new_user.recommendations(slot="shelf")
    assert sorted(each.product.category for each in response.recommendations) == ["Coffee", "Coffee", "Mugs", "Tea", "Tea"]
    slot = staff.write_slot("shelf", size=6, exploration_share=1, source=merchandising_pb2.SLOT_SOURCE_POPULAR)
    eventually(lambda: replica.merchandising.current.slots.get("shelf") == slot)
    user = str(uuid.uuid4())
    response = caller(subject=user).recommendations(slot="shelf")
    assert all(each.is_explored for each in response.recommendations)
    assert not {*ids(response)} & {*ids(new_user.popular(page_size=6))}
    eventually(lambda: len(staff.exposures(user_id=user).exposures) == 1)
    [logged] = staff.exposures(user_id=user).exposures
    assert [product.propensity for product in logged.products] == [1 / 6] * 6
    staff.delete_slot("shelf")
    eventually(lambda: "shelf" not in replica.merchandising.current.slots)
    with fails_with(grpc.StatusCode.NOT_FOUND, "SLOT_NOT_FOUND"):
        new_user.recommendations(slot="shelf")


def test_a_slot_of_similar_products_needs_one(new_user: Shopper) -> None:
    assert ids(new_user.recommendations(slot="product", product_id="tea03")) == ids(new_user.similar("tea03"))
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        new_user.recommendations(slot="product")
    assert list(violations) == ["product_id"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"action": PIN, "product_id": "tea01"}, ["rule.position"]),
        ({"action": PIN, "category": "Tea", "position": 1}, ["rule.product_id"]),
        ({"action": BOOST, "product_id": "none"}, ["rule.product_id"]),
        ({"action": BOOST, "category": "None"}, ["rule.category"]),
        ({"action": BOOST}, ["rule.product_id"]),
        ({"action": BURY, "product_id": "tea01", "strength": 0.5}, ["rule.strength"]),
        ({"action": EXCLUDE, "product_id": "tea01", "slot": "nowhere", "position": 2}, ["rule.slot", "rule.position"]),
        (
            {"action": EXCLUDE, "product_id": "tea01", "start_time": Timestamp(seconds=2), "end_time": Timestamp(seconds=1)},
            ["rule.end_time"],
        ),
    ],
)
def test_a_broken_rule_is_refused_when_it_is_written(staff: Shopper, fields: dict[str, Any], wrong: list[str]) -> None:
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.write_rule("broken", **fields)
    assert list(violations) == wrong


def test_a_concurrent_change_is_not_lost_and_a_repeated_one_changes_nothing(staff: Shopper, write: Write) -> None:
    first = write("up", BOOST, product_id="tea01")
    assert staff.write_rule("up", BOOST, product_id="tea01", etag="0") == first
    write("up", BOOST, product_id="tea01", strength=3)
    with fails_with(grpc.StatusCode.ABORTED, "STALE_ETAG"):
        staff.write_rule("up", BOOST, product_id="tea01", strength=4, etag=first.etag)
    with fails_with(grpc.StatusCode.NOT_FOUND, "RULE_NOT_FOUND"):
        staff.stub.GetRule(merchandising_pb2.GetRuleRequest(id="down"), metadata=staff.metadata)


def test_a_slot_with_rules_is_not_deleted(staff: Shopper, write: Write) -> None:
    write("email-only", BOOST, product_id="tea01", slot="email")
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION, "SLOT_IN_USE"):
        staff.delete_slot("email")


def test_a_preview_shows_what_was_not_written_yet(staff: Shopper, new_user: Shopper) -> None:
    draft = merchandising_pb2.Rule(id="draft", action=PIN, product_id="coffee11", position=1)
    response = staff.preview(slot=merchandising_pb2.Slot(id="home", size=3), rules=[draft])
    assert (ids(response)[0], len(ids(response)), rules(response)) == ("coffee11", 3, {"coffee11": "draft"})
    assert response.recommendation_id == ""
    assert not rules(new_user.recommendations(slot="home"))
    draft.product_id, draft.start_time.seconds = "none", 10**15
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.preview(slot=merchandising_pb2.Slot(id="home"), rules=[draft])
    assert list(violations) == ["rules[0].product_id", "rules[0].start_time"]


def test_another_replica_has_changes_within_two_seconds_and_keeps_them_without_the_database(
    staff: Shopper,
    loop: Loop,
    database_url: str,
    mesh_settings: MeshSettings,
    issuer: Issuer,
    catalog: CatalogServer,
    folder: Path,
    new_user: Shopper,
    write: Write,
    postgres: Postgres,
) -> None:
    other = RecommenderReplica(loop, database_url, mesh_settings, issuer, catalog.address, folder)
    try:
        rule = write("up", PIN, product_id="coffee11", position=1)
        eventually(lambda: other.merchandising.current.rules.get("up") == rule)
        waits = []
        for size in (5, 4, 3):
            slot, began = staff.write_slot("shelf", size=size), time.monotonic()
            eventually(partial(lambda slot: other.merchandising.current.slots.get("shelf") == slot, slot))
            waits.append(time.monotonic() - began)
        # The shortest wait, which no pause of the machine makes longer.
        assert min(waits) < CHANGE_SECONDS
        staff.write_experiment("shorter", treatment={"id": "shelf", "size": 2}, traffic_share=1)
        running = staff.start("shorter")
        eventually(lambda: other.merchandising.current.running.get("shelf") == running)
        with postgres.stopped():
            assert ids(new_user.recommendations(slot="home"))[0] == "coffee11"
            assert len(new_user.recommendations(slot="shelf").recommendations) in (2, 3)
        staff.stop("shorter")
        staff.delete_experiment("shorter")
        staff.delete_slot("shelf")
        eventually(lambda: "shelf" not in other.merchandising.current.slots)
    finally:
        other.stop()


def test_shoppers_neither_see_nor_write_rules(new_user: Shopper) -> None:
    calls: list[Callable[[], object]] = [
        lambda: new_user.write_rule("up", BOOST, product_id="tea01"),
        lambda: new_user.preview(slot=merchandising_pb2.Slot(id="home")),
        lambda: new_user.delete_slot("home"),
    ]
    for call in calls:
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()
