"""Experiments between versions of the model: each arm is served by its version in every replica, and one call promotes the better one."""

import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from hashiramart.model.v1 import model_pb2
from hashiramart.recommender.v1 import experiments_pb2, recommender_pb2, recommender_pb2_grpc
from mesh.identity import Role, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from ml.experiments.assignment import Arm, assign
from ml.pipeline import tracking
from ml.registry.signature import Signer
from services.recommender.repository.shadow_lists import ShadowList
from services.recommender.shadow_starter import ShadowStarter
from tests.callers import Issuer
from tests.engines.mlflow import Mlflow
from tests.engines.ports import free_port
from tests.loops import Loop
from tests.ml.model_registry import SIGNER
from tests.services.catalog.shop import Shop
from tests.services.errors import error_of, fails_with
from tests.services.recommender import world
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import MODEL, CatalogServer, RecommenderReplica
from tests.services.recommender.shopper import Shopper
from tests.services.waiting import eventually

KEEP, REVERT = experiments_pb2.EXPERIMENT_DECISION_KEEP, experiments_pb2.EXPERIMENT_DECISION_REVERT
CONTROL, TREATMENT = experiments_pb2.EXPERIMENT_ARM_CONTROL, experiments_pb2.EXPERIMENT_ARM_TREATMENT
FAILED, INVALID = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT
REQUIRED = 1
VERSIONS = 6

Run = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    world.train().save(folder)
    return folder


@pytest.fixture(scope="module")
def numbers(mlflow: Mlflow, trained: Path) -> list[str]:
    """Versions that passed the gate. They make the same lists, under different numbers."""
    return [register(mlflow, trained) for _ in range(VERSIONS)]


@pytest.fixture(scope="module")
def replica(
    loop: Loop,
    database_url: str,
    mesh_settings: MeshSettings,
    issuer: Issuer,
    catalog: CatalogServer,
    shop: Shop,
    tmp_path_factory: pytest.TempPathFactory,
    mlflow: Mlflow,
    numbers: list[str],
) -> Iterator[RecommenderReplica]:
    """A recommender that serves the first version, and asks for a list in shadow before it promotes another."""
    folder = tmp_path_factory.mktemp("model")
    replica = RecommenderReplica(
        loop, database_url, mesh_settings, issuer, catalog.address, folder, mlflow.url, required_shadow_lists=REQUIRED
    )
    loop.run(replica.catalog.wait_until_filled(30))
    promote(replica, loop, numbers[0], "")
    yield replica
    replica.stop()


@pytest.fixture(scope="module")
def shadowed(loop: Loop, replica: RecommenderReplica, numbers: list[str]) -> None:
    """All versions but the last have made a list in shadow."""
    made = [ShadowList("list", number, datetime.now(UTC), 1, 1, 1, "") for number in numbers[:-1]]
    loop.run(replica.shadows.lists.record(made))


@pytest.fixture(autouse=True)
def shelf(staff: Shopper, replica: RecommenderReplica, shadowed: None) -> Iterator[None]:
    """A slot of five products."""
    slot = staff.write_slot("shelf", size=5)
    eventually(lambda: replica.merchandising.current.slots.get("shelf") == slot)
    yield
    staff.delete_slot("shelf")


@pytest.fixture
def run(staff: Shopper, replica: RecommenderReplica) -> Iterator[Run]:
    """Starts experiments on the shelf, in which everybody takes part, waits until they run here, and deletes them after the test."""
    begun = []

    def run(treatment: str, **fields: Any) -> str:
        id = draft(staff, treatment_version=treatment, **fields)
        begun.append(id)
        running = staff.start(id)
        wanted = {running.treatment_version, running.control_version} - {""}
        eventually(lambda: "shelf" in replica.merchandising.current.running)
        eventually(lambda: all(replica.versions.get(number) for number in wanted))
        return id

    yield run
    for id in begun:
        if staff.experiment(id).state == experiments_pb2.EXPERIMENT_STATE_RUNNING:
            staff.stop(id)
        staff.delete_experiment(id)
    eventually(lambda: not replica.merchandising.current.running)


def register(mlflow: Mlflow, folder: Path, *, passed: bool = True, model: str = MODEL, signer: Signer = SIGNER) -> str:
    return tracking.register(mlflow.url, model, world.provenance(folder, passed=passed), signer, folder, [])


@contextmanager
def served(loop: Loop, replica: RecommenderReplica, settings: MeshSettings, issuer: Issuer) -> Iterator[str]:
    """The address at which a replica is served."""
    address = f"127.0.0.1:{free_port()}"

    async def start() -> Server:
        server = Server(address, settings, TokenVerifier(settings.jwt_issuer, settings.jwt_audience, issuer))
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(replica.servicer, server)
        await server.start()
        return server

    server = loop.run(start())
    yield address
    loop.run(server.stop(0))


def promote(replica: RecommenderReplica, loop: Loop, number: str, expected: str) -> None:
    loop.run(replica.champion.promote(number, "for a test", promoted_by="", expected_champion=expected))


def draft(staff: Shopper, id: str = "", **fields: Any) -> str:
    id = id or f"test-{uuid.uuid4()}"
    staff.write_experiment(id, **{"treatment": {"id": "shelf"}, "traffic_share": 1, "outcome_window_seconds": 1, **fields})
    return id


def subject_of(arm: Arm, experiment_id: str) -> str:
    """A new shopper's id that is in an arm."""
    return next(id for id in iter(lambda: str(uuid.uuid4()), "") if assign(experiment_id, id, 1, 0.5) is arm)


def eventually_logged(staff: Shopper, shopper: str) -> list[recommender_pb2.Exposure]:
    """The shopper's lists in the log, once there are any."""
    eventually(lambda: bool(staff.exposures(user_id=shopper).exposures))
    return list(staff.exposures(user_id=shopper).exposures)


def wait_until_tried(replica: RecommenderReplica, version: str) -> None:
    """Waits until a replica knows of the experiment on the shelf, and has loaded a version or failed to."""
    eventually(lambda: "shelf" in replica.merchandising.current.running)
    eventually(lambda: replica.versions.get(version) is not None or replica.versions.challengers.error(version) != "")


def counts(arm: experiments_pb2.ArmReport) -> dict[str, int]:
    """How many lists each version made."""
    return {each.version: each.list_count for each in arm.versions}


def test_each_arm_has_the_lists_of_its_version_which_is_logged(
    run: Run, caller: Caller, staff: Shopper, replica: RecommenderReplica, numbers: list[str]
) -> None:
    champion, second, third, *_ = numbers
    id = run(second, control_version=third)
    assert staff.experiment(id).champion_version == champion
    for arm, value, version in ((Arm.CONTROL, CONTROL, third), (Arm.TREATMENT, TREATMENT, second)):
        subject = subject_of(arm, id)
        shown = caller(subject=subject).recommendations(slot="shelf")
        assert (shown.model_version, shown.experiment_id, shown.arm) == (version, id, value)
        assert len(shown.recommendations) == 5
        [logged] = eventually_logged(staff, subject)
        assert (logged.model_version, logged.experiment_id, logged.arm) == (version, id, value)
        elsewhere = caller(subject=subject).recommendations(slot="home")
        assert (elsewhere.model_version, elsewhere.experiment_id) == (champion, "")
    report = staff.report(id)
    assert (counts(report.control), counts(report.treatment), report.champion_changed) == ({third: 1}, {second: 1}, False)


def test_a_version_that_cannot_make_a_list_is_replaced_by_the_champion(
    run: Run, caller: Caller, staff: Shopper, replica: RecommenderReplica, numbers: list[str]
) -> None:
    champion, second, *_ = numbers
    id = run(second)
    damaged = replica.versions.challengers.get(second)
    assert damaged
    # It is loaded anew for the next experiment.
    object.__delattr__(damaged.model, "history")
    shown = caller(subject=subject_of(Arm.TREATMENT, id)).recommendations(slot="shelf")
    assert (shown.model_version, shown.arm, len(shown.recommendations)) == (champion, TREATMENT, 5)
    eventually(lambda: counts(staff.report(id).treatment) == {champion: 1})


def test_a_replica_without_a_version_lets_nobody_take_part(
    run: Run,
    caller: Caller,
    staff: Shopper,
    numbers: list[str],
    loop: Loop,
    database_url: str,
    mesh_settings: MeshSettings,
    issuer: Issuer,
    catalog: CatalogServer,
    folder: Path,
    mlflow: Mlflow,
) -> None:
    """Such as one that starts while the registry cannot be reached. One that can reach it takes part as soon as it has the version."""
    id = run(numbers[1])
    subject = subject_of(Arm.TREATMENT, id)
    for url, arm in (("http://127.0.0.1:9", 0), (mlflow.url, TREATMENT)):
        other = RecommenderReplica(loop, database_url, mesh_settings, issuer, catalog.address, folder, url)
        loop.run(other.catalog.wait_until_filled(30))
        wait_until_tried(other, numbers[1])
        with served(loop, other, mesh_settings, issuer) as address, grpc.insecure_channel(address) as channel:
            stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
            shown = Shopper(stub, issuer.metadata(Role.CUSTOMER, subject)).recommendations(slot="shelf")
            report = Shopper(stub, issuer.metadata(Role.STAFF, "kim")).report(id)
        assert (shown.arm, shown.experiment_id) == (arm, id if arm else "")
        assert bool(report.treatment.load_error) is not bool(arm)
        other.stop()
    # The replica that was there before serves the same shopper the same arm.
    assert caller(subject=subject).recommendations(slot="shelf").arm == TREATMENT


def test_a_swap_of_the_champion_is_in_the_report(
    run: Run, caller: Caller, staff: Shopper, replica: RecommenderReplica, numbers: list[str], loop: Loop
) -> None:
    champion, second, third, *_ = numbers
    id = run(second)
    assert caller(subject=subject_of(Arm.CONTROL, id)).recommendations(slot="shelf").model_version == champion
    eventually(lambda: staff.report(id).control.list_count == 1)
    assert not staff.report(id).champion_changed
    promote(replica, loop, third, champion)
    assert caller(subject=subject_of(Arm.CONTROL, id)).recommendations(slot="shelf").model_version == third
    assert caller(subject=subject_of(Arm.TREATMENT, id)).recommendations(slot="shelf").model_version == second
    eventually(lambda: staff.report(id).champion_changed)
    assert counts(staff.report(id).control) == {champion: 1, third: 1}
    admin = caller(role=Role.ADMIN)
    # Somebody has decided otherwise since it was started, and is not overruled unknowingly.
    with fails_with(grpc.StatusCode.ABORTED, "CHAMPION_CHANGED"):
        admin.conclude(id, KEEP)
    assert staff.experiment(id).state == experiments_pb2.EXPERIMENT_STATE_RUNNING
    assert admin.conclude(id, KEEP, expected_champion_version=third).decision == KEEP
    assert replica.champion.serving
    assert replica.champion.serving.version.number == second
    promote(replica, loop, champion, second)


def test_what_is_kept_is_promoted_with_who_and_why(
    run: Run, caller: Caller, staff: Shopper, replica: RecommenderReplica, numbers: list[str], loop: Loop
) -> None:
    champion, second, third, *_ = numbers
    id = run(second)
    admin = caller(role=Role.ADMIN, subject="ada")
    with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        staff.conclude(id, KEEP)
    assert admin.conclude(id, KEEP, "more revenue").state == experiments_pb2.EXPERIMENT_STATE_CONCLUDED
    model = admin.stub.GetModel(model_pb2.GetModelRequest(), metadata=admin.metadata, timeout=10)
    assert (model.version, model.promotion.promoted_by, model.promotion.reason) == (second, "ada", "more revenue")
    assert model.promotion.replaced_version == champion
    assert caller().recommendations(slot="home").model_version == second
    # A repeated call does not promote again what was replaced since.
    promote(replica, loop, third, second)
    assert admin.conclude(id, KEEP).decision == KEEP
    assert caller().recommendations(slot="home").model_version == third
    promote(replica, loop, champion, third)


@pytest.mark.parametrize("first", [KEEP, REVERT])
def test_of_two_who_decide_otherwise_at_once_one_is_refused_and_the_champion_is_that_of_the_other(
    run: Run, caller: Caller, numbers: list[str], replica: RecommenderReplica, loop: Loop, first: int
) -> None:
    """A promotion takes many calls of MLflow's, so that the later one decides while it is under way."""
    champion, second, *_ = numbers
    admin, decisions = caller(role=Role.ADMIN), sorted((KEEP, REVERT), key=lambda decision: decision != first)
    for pause in (0, 0.02, 0.05, 0.1):
        id = run(second)
        with ThreadPoolExecutor(2) as pool:
            calls = []
            for decision in decisions:
                calls.append(pool.submit(admin.conclude, id, decision))
                time.sleep(pause)
        assert [error_of(call.result).reason for call in calls if call.exception()] == ["EXPERIMENT_STATE"]
        kept = admin.experiment(id).decision == KEEP
        assert replica.champion.serving
        assert replica.champion.serving.version.number == (second if kept else champion)
        assert not admin.experiment(id).promotion_pending
        if kept:
            promote(replica, loop, champion, second)


def test_a_promotion_that_was_cut_short_is_carried_out_by_the_same_call(
    run: Run, caller: Caller, staff: Shopper, numbers: list[str], replica: RecommenderReplica, loop: Loop
) -> None:
    """The process may end after it has recorded the decision, and again before it records the promotion."""
    champion, second, *_ = numbers
    admin, repository = caller(role=Role.ADMIN), replica.merchandising.repository
    for is_promoted in (False, True):
        id = run(second)
        loop.run(repository.conclude_experiment(id, KEEP, "more revenue"))
        if is_promoted:
            promote(replica, loop, second, champion)
        assert staff.experiment(id).promotion_pending
        with fails_with(FAILED, "EXPERIMENT_STATE"):
            staff.conclude(id, REVERT)
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            staff.conclude(id, KEEP)
        concluded = admin.conclude(id, KEEP)
        assert (concluded.promotion_pending, concluded.decision_reason) == (False, "more revenue")
        assert replica.champion.serving
        assert replica.champion.serving.version.number == second
        promote(replica, loop, champion, second)
        # As it ended, it changes nothing any more.
        assert admin.conclude(id, KEEP) == concluded
        assert replica.champion.serving.version.number == champion


def test_a_promotion_that_was_cut_short_does_not_overrule_who_promoted_another_version_since(
    run: Run, caller: Caller, numbers: list[str], replica: RecommenderReplica, loop: Loop
) -> None:
    champion, second, third, *_ = numbers
    admin, id = caller(role=Role.ADMIN), run(second)
    loop.run(replica.merchandising.repository.conclude_experiment(id, KEEP, ""))
    promote(replica, loop, third, champion)
    with fails_with(grpc.StatusCode.ABORTED, "CHAMPION_CHANGED"):
        admin.conclude(id, KEEP)
    assert admin.experiment(id).promotion_pending
    assert not admin.conclude(id, KEEP, expected_champion_version=third).promotion_pending
    promote(replica, loop, champion, second)


def test_what_is_reverted_leaves_the_champion(run: Run, caller: Caller, staff: Shopper, numbers: list[str]) -> None:
    id = run(numbers[1])
    assert staff.conclude(id, REVERT).decision == REVERT
    eventually(lambda: caller(subject=subject_of(Arm.TREATMENT, id)).recommendations(slot="shelf").arm == 0)
    assert caller().recommendations(slot="shelf").model_version == numbers[0]


def test_only_versions_that_could_be_the_champion_are_arms(
    staff: Shopper, numbers: list[str], mlflow: Mlflow, trained: Path, replica: RecommenderReplica
) -> None:
    champion, second, *_, unshadowed = numbers
    with fails_with(grpc.StatusCode.NOT_FOUND, "MODEL_VERSION_NOT_FOUND"):
        draft(staff, treatment_version="999")
    unsigned = register(mlflow, trained, signer=Signer(urlsafe_b64encode(bytes(range(32))).decode()))
    with fails_with(FAILED, "MODEL_UNFIT"):
        draft(staff, treatment_version=unsigned)
    with fails_with(FAILED, "MODEL_REFUSED_BY_GATE"):
        draft(staff, treatment_version=second, control_version=register(mlflow, trained, passed=False))
    id = draft(staff, treatment_version=unshadowed)
    with fails_with(FAILED, "MODEL_NOT_SHADOWED"):
        staff.start(id)
    staff.delete_experiment(id)
    with fails_with(INVALID, "INVALID_REQUEST") as violations:
        draft(staff, treatment_version=champion)
    assert list(violations) == ["experiment.treatment_version"]
    with fails_with(INVALID, "INVALID_REQUEST") as violations:
        draft(staff, treatment_version=second, control_version=second)
    assert list(violations) == ["experiment.treatment_version"]
    with fails_with(INVALID, "INVALID_REQUEST") as violations:
        draft(staff, treatment_version=second, treatment={"id": "shelf", "size": 3})
    assert list(violations) == ["experiment.treatment"]
    with fails_with(INVALID, "INVALID_REQUEST") as violations:
        draft(staff, control_version=second)
    assert list(violations) == ["experiment.control_version"]


def test_a_version_that_was_deleted_since_it_was_written_does_not_start(staff: Shopper, mlflow: Mlflow, trained: Path) -> None:
    number = register(mlflow, trained)
    id = draft(staff, treatment_version=number)
    mlflow.forget_version(MODEL, number)
    with fails_with(grpc.StatusCode.NOT_FOUND, "MODEL_VERSION_NOT_FOUND"):
        staff.start(id)
    staff.delete_experiment(id)


def test_what_waits_for_a_person_is_put_in_shadow_if_there_is_a_place(
    staff: Shopper, numbers: list[str], mlflow: Mlflow, trained: Path, replica: RecommenderReplica, loop: Loop
) -> None:
    repository = replica.merchandising.repository
    starter = ShadowStarter(replica.registry, repository, replica.shadows.lists)
    _, second, third, *_ = numbers
    waiting = register(mlflow, trained)
    model = staff.stub.GetModel(model_pb2.GetModelRequest(version=waiting), metadata=staff.metadata, timeout=10)
    assert model.awaits_promotion
    for number in (second, third):
        staff.write_shadow(number)
    loop.run(starter.start())
    assert staff.shadows() == [second, third]
    staff.delete_shadow(third)
    for _ in range(2):
        loop.run(starter.start())
    assert set(staff.shadows()) == {second, waiting}
    # Who takes it out after its first lists does not find it there again.
    loop.run(replica.shadows.lists.record([ShadowList("list", waiting, datetime.now(UTC), 1, 1, 1, "")]))
    for number in (second, waiting):
        staff.delete_shadow(number)
    loop.run(starter.start())
    assert staff.shadows() == []
    register(mlflow, trained, passed=False)
    loop.run(starter.start())
    assert staff.shadows() == []


def test_four_versions_at_most_are_loaded_beside_the_champion(run: Run, staff: Shopper, numbers: list[str]) -> None:
    _, second, third, fourth, fifth, *_ = numbers
    run(second, control_version=third)
    staff.write_shadow(fourth)
    # A version that is there already takes no more room.
    staff.write_shadow(second)
    staff.delete_shadow(second)
    staff.write_shadow(fifth)
    staff.write_slot("aisle")
    id = draft(staff, treatment={"id": "aisle"}, treatment_version=numbers[0], control_version=second)
    assert error_of(lambda: staff.start(id)).reason == "LIMIT_REACHED"
    for each in (fourth, fifth):
        staff.delete_shadow(each)
    staff.delete_experiment(id)
    staff.delete_slot("aisle")
