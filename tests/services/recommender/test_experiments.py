"""Experiments: shoppers get the list of their arm, what they buy is counted, and one call keeps the treatment or reverts it."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

from hashiramart.recommender.v1 import experiments_pb2, merchandising_pb2, recommender_pb2
from mesh.identity import Role
from mesh.timestamps import timestamp, to_datetime
from ml.experiments.assignment import Arm, assign
from tests.engines.postgres import Postgres
from tests.services.errors import error_of, fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import RecommenderReplica
from tests.services.recommender.shopper import Shopper, event, ids
from tests.services.waiting import eventually

PURCHASE, RETURN = recommender_pb2.EVENT_KIND_PURCHASE, recommender_pb2.EVENT_KIND_RETURN
KEEP, REVERT = experiments_pb2.EXPERIMENT_DECISION_KEEP, experiments_pb2.EXPERIMENT_DECISION_REVERT
CONTROL, TREATMENT = experiments_pb2.EXPERIMENT_ARM_CONTROL, experiments_pb2.EXPERIMENT_ARM_TREATMENT
FAILED = grpc.StatusCode.FAILED_PRECONDITION
SMALL = {"id": "shelf", "size": 3}
PIN = {"id": "tested", "action": merchandising_pb2.RULE_ACTION_PIN, "product_id": "coffee11", "position": 1, "slot": "shelf"}

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def shelf(staff: Shopper, replica: RecommenderReplica) -> Iterator[None]:
    """A slot of five products."""
    slot = staff.write_slot("shelf", size=5)
    eventually(lambda: replica.merchandising.current.slots.get("shelf") == slot)
    yield
    staff.delete_slot("shelf")


@pytest.fixture
def run(staff: Shopper, replica: RecommenderReplica) -> Iterator[Run]:
    """Starts experiments on the shelf, in which everybody takes part, waits until they run, and deletes them after the test."""
    begun = []

    def run(**fields: Any) -> str:
        id = f"test-{uuid.uuid4()}"
        staff.write_experiment(id, **{"treatment": SMALL, "traffic_share": 1, "outcome_window_seconds": 1, **fields})
        begun.append(id)
        staff.start(id)
        eventually(lambda: "shelf" in replica.merchandising.current.running)
        return id

    yield run
    for id in begun:
        if staff.experiment(id).state == experiments_pb2.EXPERIMENT_STATE_RUNNING:
            staff.stop(id)
        staff.delete_experiment(id)
    eventually(lambda: not replica.merchandising.current.running)


def subject_of(arm: Arm, experiment_id: str) -> str:
    """A new shopper's id that is in an arm."""
    return next(id for id in iter(lambda: str(uuid.uuid4()), "") if assign(experiment_id, id, 1, 0.5) is arm)


def wait_until_logged(staff: Shopper, shopper: str) -> None:
    """Waits until the list of a shopper is in the log."""
    eventually(lambda: len(staff.exposures(user_id=shopper).exposures) == 1)


def test_shoppers_get_the_list_of_their_arm_which_is_logged(run: Run, caller: Caller, staff: Shopper) -> None:
    id = run(treatment_rules=[PIN])
    control, treatment = subject_of(Arm.CONTROL, id), subject_of(Arm.TREATMENT, id)
    plain, changed = (caller(subject=subject).recommendations(slot="shelf") for subject in (control, treatment))
    assert (len(ids(plain)), plain.experiment_id, plain.arm) == (5, id, CONTROL)
    assert (len(ids(changed)), changed.experiment_id, changed.arm) == (3, id, TREATMENT)
    assert (ids(changed)[0], changed.recommendations[0].rule_id) == ("coffee11", "tested")
    assert "tested" not in {each.rule_id for each in plain.recommendations}
    for subject, arm in ((control, CONTROL), (treatment, TREATMENT)):
        wait_until_logged(staff, subject)
        [logged] = staff.exposures(user_id=subject).exposures
        assert (logged.experiment_id, logged.arm) == (id, arm)
        assert list(staff.exposures(experiment_id=id, arm=arm).exposures) == [logged]
    assert len(staff.exposures(experiment_id=id).exposures) == 2
    elsewhere = caller(subject=treatment).recommendations(slot="home")
    assert (elsewhere.experiment_id, elsewhere.arm) == ("", 0)


def test_a_ramp_adds_shoppers(run: Run, caller: Caller, staff: Shopper, replica: RecommenderReplica) -> None:
    id = run(traffic_share=0.0001)
    shopper = caller(subject=next(each for each in iter(lambda: str(uuid.uuid4()), "") if assign(id, each, 0.0001, 0.5) is None))
    assert shopper.recommendations(slot="shelf").experiment_id == ""
    experiment = staff.experiment(id)
    experiment.traffic_share = 1
    staff.write_experiment(**{field.name: value for field, value in experiment.ListFields()})
    eventually(lambda: replica.merchandising.current.running["shelf"].traffic_share == 1)
    assert shopper.recommendations(slot="shelf").experiment_id == id
    assert staff.experiment(id).state == experiments_pb2.EXPERIMENT_STATE_RUNNING
    for change in ({"traffic_share": 0.5}, {"treatment_share": 0.4}, {"treatment": {"id": "shelf", "size": 4}}):
        with fails_with(FAILED, "EXPERIMENT_STATE"):
            staff.write_experiment(id, **{"treatment": SMALL, "traffic_share": 1, "outcome_window_seconds": 1, **change})


def test_a_visitor_who_signs_up_keeps_the_arm(run: Run, caller: Caller, auth: Shopper, staff: Shopper) -> None:
    id = run()
    for arm, other in ((Arm.CONTROL, Arm.TREATMENT), (Arm.TREATMENT, Arm.CONTROL)):
        visitor, user = subject_of(arm, id), subject_of(other, id)
        before = caller(role=Role.VISITOR, subject=visitor).recommendations(slot="shelf")
        wait_until_logged(staff, visitor)
        auth.hand_over(visitor, user)
        after = caller(subject=user).recommendations(slot="shelf")
        assert after.arm == before.arm
    eventually(lambda: staff.report(id).control.list_count + staff.report(id).treatment.list_count == 4)
    report = staff.report(id)
    assert (report.control.shopper_count, report.treatment.shopper_count, report.mixed_shopper_count) == (1, 1, 0)


def test_a_user_who_was_a_visitor_in_the_other_arm_is_left_out(run: Run, caller: Caller, auth: Shopper, staff: Shopper) -> None:
    id = run()
    visitor, user = subject_of(Arm.CONTROL, id), subject_of(Arm.TREATMENT, id)
    for shopper, role in ((user, Role.CUSTOMER), (visitor, Role.VISITOR)):
        caller(role=role, subject=shopper).recommendations(slot="shelf")
        wait_until_logged(staff, shopper)
    auth.hand_over(visitor, user)
    assert caller(subject=user).recommendations(slot="shelf").arm == TREATMENT
    report = staff.report(id)
    assert (report.control.shopper_count, report.treatment.shopper_count, report.mixed_shopper_count) == (0, 0, 1)


def test_the_report_counts_what_is_bought_within_the_window(run: Run, caller: Caller, till: Shopper, staff: Shopper) -> None:
    """Also by the customer number alone, less what is given back; not what shoppers say themselves, nor what is bought later."""
    id = run()
    buyer, member, idler = subject_of(Arm.TREATMENT, id), subject_of(Arm.CONTROL, id), subject_of(Arm.CONTROL, id)
    number = uuid.uuid4().hex
    caller(subject=buyer).recommendations(slot="shelf")
    caller(number, subject=member).recommendations(slot="shelf")
    caller(subject=idler).recommendations(slot="shelf")
    eventually(lambda: staff.report(id).control.shopper_count + staff.report(id).treatment.shopper_count == 3)
    shoppers = (buyer, member, idler)
    begins = {each: to_datetime(staff.exposures(user_id=each).exposures[0].create_time) for each in shoppers}
    eventually(lambda: staff.report(id).control.counted_shopper_count + staff.report(id).treatment.counted_shopper_count == 3)

    def order(shopper: str, kind: recommender_pb2.EventKind.ValueType, after: float, **fields: Any) -> recommender_pb2.Event:
        whose = {"customer_number": number} if shopper == member else {"user_id": shopper}
        return event(kind, "tea01", event_time=timestamp(begins[shopper] + timedelta(seconds=after)), **whose, **fields)

    till.record(
        order(buyer, PURCHASE, 0.1, quantity=3, unit_price_cents=200),
        order(buyer, RETURN, 0.2, quantity=1, unit_price_cents=200),
        order(buyer, PURCHASE, 0.2),
        order(member, PURCHASE, 0.1, quantity=1, unit_price_cents=50),
        order(member, PURCHASE, -1, quantity=1, unit_price_cents=7000),
        order(idler, PURCHASE, 1, quantity=1, unit_price_cents=7000),
    )
    caller(subject=idler).record(order(idler, PURCHASE, 0.1, quantity=1, unit_price_cents=7000))
    report = staff.report(id)
    bought, idle = report.treatment, report.control
    assert (bought.conversion_rate, bought.revenue_cents_per_shopper, bought.unpriced_purchase_count) == (1, 400, 1)
    assert (idle.conversion_rate, idle.revenue_cents_per_shopper, idle.counted_shopper_count) == (0.5, 25, 2)
    assert report.revenue.difference.value == 375
    assert not report.revenue.difference.HasField("lower")
    assert report.revenue.verdict == experiments_pb2.EXPERIMENT_VERDICT_UNDECIDED
    assert not report.sample_ratio_mismatch
    # As it was after the first list, of which no window was over.
    earlier = staff.report(id, through_time=timestamp(begins[buyer]))
    assert (earlier.treatment.list_count, earlier.treatment.shopper_count, earlier.treatment.counted_shopper_count) == (1, 1, 0)
    assert (earlier.control.shopper_count, earlier.through_time) == (0, timestamp(begins[buyer]))
    assert staff.report(id, through_time=timestamp(begins[buyer] + timedelta(days=9))).treatment == report.treatment


def test_forgotten_shoppers_leave_the_report(run: Run, caller: Caller, auth: Shopper, staff: Shopper) -> None:
    id, user = run(), str(uuid.uuid4())
    caller(subject=user).recommendations(slot="shelf")
    eventually(lambda: staff.report(id).control.shopper_count + staff.report(id).treatment.shopper_count == 1)
    auth.forget(user)
    report = staff.report(id)
    assert report.control.shopper_count + report.treatment.shopper_count + report.control.list_count + report.treatment.list_count == 0


def test_a_deleted_experiment_leaves_nothing_to_another_one_with_its_id(run: Run, caller: Caller, staff: Shopper) -> None:
    id, user = run(), str(uuid.uuid4())
    caller(subject=user).recommendations(slot="shelf")
    wait_until_logged(staff, user)
    staff.stop(id)
    staff.delete_experiment(id)
    assert not staff.write_experiment(id, treatment=SMALL, traffic_share=1).HasField("start_time")
    for _ in range(2):
        report = staff.report(id)
        assert {arm.list_count + arm.shopper_count for arm in (report.control, report.treatment)} == {0}
        staff.start(id)


def test_arms_stay_while_the_database_is_away(run: Run, caller: Caller, postgres: Postgres) -> None:
    id = run()
    shopper = caller(subject=subject_of(Arm.TREATMENT, id))
    with postgres.stopped():
        assert (len(ids(shopper.recommendations(slot="shelf"))), shopper.recommendations(slot="shelf").arm) == (3, TREATMENT)


def test_what_is_kept_becomes_the_slot_and_its_rules(run: Run, staff: Shopper, replica: RecommenderReplica, new_user: Shopper) -> None:
    id = run(treatment_rules=[PIN])
    assert [staff.conclude(id, KEEP).state for _ in range(2)] == [experiments_pb2.EXPERIMENT_STATE_CONCLUDED] * 2
    eventually(lambda: not replica.merchandising.current.running and "tested" in replica.merchandising.current.rules)
    response = new_user.recommendations(slot="shelf")
    assert (len(ids(response)), ids(response)[0], response.experiment_id) == (3, "coffee11", "")
    with fails_with(FAILED, "EXPERIMENT_STATE"):
        staff.conclude(id, REVERT)
    staff.delete_rule("tested")


def test_what_is_reverted_leaves_nothing(run: Run, staff: Shopper, replica: RecommenderReplica, new_user: Shopper) -> None:
    id = run(treatment_rules=[PIN])
    assert staff.stop(id) == staff.stop(id)
    eventually(lambda: not replica.merchandising.current.running)
    assert (len(ids(new_user.recommendations(slot="shelf"))), new_user.recommendations(slot="shelf").experiment_id) == (5, "")
    concluded = staff.conclude(id, REVERT, "customers missed the rest")
    assert concluded.HasField("stop_time")
    assert staff.conclude(id, REVERT, "another").decision_reason == "customers missed the rest"
    assert "tested" not in replica.merchandising.current.rules


def test_an_experiment_holds_its_slot(run: Run, staff: Shopper) -> None:
    id = run()
    other = staff.write_experiment("other", treatment=SMALL, traffic_share=1)
    assert staff.write_experiment("other", treatment=SMALL, traffic_share=1) == other
    calls: list[tuple[str, Callable[[], object]]] = [
        ("EXPERIMENT_RUNNING", lambda: staff.write_slot("shelf", size=7)),
        ("EXPERIMENT_RUNNING", lambda: staff.start("other")),
        ("EXPERIMENT_STATE", lambda: staff.delete_experiment(id)),
        ("EXPERIMENT_STATE", lambda: staff.stop("other")),
        ("EXPERIMENT_STATE", lambda: staff.conclude("other", KEEP)),
        ("SLOT_IN_USE", lambda: staff.delete_slot("shelf")),
    ]
    for reason, call in calls:
        with fails_with(FAILED, reason):
            call()
    assert staff.start(id) == staff.experiment(id)
    staff.delete_experiment("other")
    staff.stop(id)
    with fails_with(FAILED, "EXPERIMENT_STATE"):
        staff.start(id)


def test_a_treatment_that_could_not_be_applied_is_refused(staff: Shopper) -> None:
    rules = [PIN | {"slot": "home"}, PIN | {"product_id": "none"}]
    error = error_of(lambda: staff.write_experiment("broken", treatment={"id": "none"}, treatment_rules=rules, traffic_share=1))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    rule = "experiment.treatment_rules"
    assert error.fields == ["experiment.treatment.id", f"{rule}[0].slot", f"{rule}[1].product_id", f"{rule}[1].slot", f"{rule}[1].id"]
    for share in (0, 1.5, float("nan")):
        with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
            staff.write_experiment("broken", treatment=SMALL, traffic_share=share)
        assert list(violations) == ["experiment.traffic_share"]
    for call in (staff.experiment, staff.start, staff.stop, staff.report, lambda id: staff.conclude(id, KEEP)):
        with fails_with(grpc.StatusCode.NOT_FOUND, "EXPERIMENT_NOT_FOUND"):
            call("broken")


def test_a_stale_etag_is_rejected(staff: Shopper) -> None:
    etag = staff.write_experiment("draft", treatment=SMALL, traffic_share=0.5).etag
    staff.write_experiment("draft", treatment=SMALL, traffic_share=0.6, etag=etag)
    with fails_with(grpc.StatusCode.ABORTED, "STALE_ETAG"):
        staff.write_experiment("draft", treatment=SMALL, traffic_share=0.7, etag=etag)
    staff.delete_experiment("draft")
    staff.delete_experiment("draft")


def test_shoppers_neither_see_nor_write_experiments(new_user: Shopper) -> None:
    for call in (new_user.experiment, new_user.start, new_user.stop, new_user.report, new_user.delete_experiment):
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call("any")
