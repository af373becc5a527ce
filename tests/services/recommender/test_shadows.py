"""A version in shadow makes lists beside the champion that nobody sees, and is compared with it."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from hashiramart.model.v1 import model_pb2
from hashiramart.recommender.v1 import recommender_pb2
from mesh.identity import Role
from mesh.settings import MeshSettings
from ml.pipeline import tracking
from tests.callers import Issuer
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.model_registry import SIGNER
from tests.services.catalog.shop import Shop
from tests.services.errors import error_of
from tests.services.recommender import world
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import MODEL, CatalogServer, RecommenderReplica
from tests.services.recommender.shopper import Shopper, event, ids
from tests.services.waiting import eventually

REQUIRED = 5


@pytest.fixture(scope="module")
def numbers(mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two versions that can be served, and one whose artifact is not the one that was registered."""
    folder = tmp_path_factory.mktemp("trained")
    numbers = []
    for days in (0, 60):
        world.train(world.CUTOFF - timedelta(days=days)).save(folder / str(days))
        numbers.append(tracking.register(mlflow.url, MODEL, world.provenance(folder / str(days)), SIGNER, folder / str(days), []))
    other = world.provenance(folder / "0").model_copy(update={"artifact_sha256": "0" * 64})
    numbers.append(tracking.register(mlflow.url, MODEL, other, SIGNER, folder / "60", []))
    return numbers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def replica(
    loop: Loop,
    database_url: str,
    mesh_settings: MeshSettings,
    issuer: Issuer,
    catalog: CatalogServer,
    shop: Shop,
    folder: Path,
    mlflow: Mlflow,
    numbers: list[str],
) -> Iterator[RecommenderReplica]:
    """A recommender that serves the first version, and asks for lists in shadow before it promotes another."""
    replica = RecommenderReplica(
        loop, database_url, mesh_settings, issuer, catalog.address, folder, mlflow.url, required_shadow_lists=REQUIRED
    )
    loop.run(replica.catalog.wait_until_filled(30))
    loop.run(replica.champion.promote(numbers[0], "for a test", promoted_by="", expected_champion="", force=True))
    yield replica
    replica.stop()


def promote(admin: Shopper, number: str, expected: str) -> model_pb2.Model:
    request = model_pb2.PromoteModelRequest(version=number, expected_champion_version=expected, reason="for a test")
    return admin.stub.PromoteModel(request, metadata=admin.metadata, timeout=30)


def test_a_version_in_shadow_is_compared_with_what_was_shown(
    caller: Caller, staff: Shopper, auth: Shopper, replica: RecommenderReplica, numbers: list[str]
) -> None:
    champion, challenger, _ = numbers
    staff.write_slot("home", size=4, exploration_share=0.5)
    staff.write_shadow(challenger)
    assert staff.shadows() == [challenger]
    eventually(lambda: staff.shadow_report(challenger).is_loaded)
    eventually(lambda: challenger in replica.merchandising.current.shadows)
    shoppers = [caller("04", subject=str(uuid.uuid4())) for _ in range(8)]
    for shopper in shoppers:
        shown = shopper.recommendations(slot="home")
        assert shown.model_version == champion
        shopper.record(event(recommender_pb2.EVENT_KIND_CLICK, ids(shown)[0], recommendation_id=shown.recommendation_id))
    eventually(lambda: staff.shadow_report(challenger).estimated_list_count == len(shoppers))
    report = staff.shadow_report(challenger)
    assert (report.list_count, report.failed_list_count, report.load_error) == (len(shoppers), 0, "")
    assert 0 < report.overlap <= 1
    assert report.latency.p95_milliseconds >= report.latency.median_milliseconds > 0
    assert report.shown_latency.median_milliseconds > 0
    clicks, revenue = report.values
    assert (clicks.shown.value, revenue.shown.value) == (1, 0)
    assert not clicks.doubly_robust.HasField("lower")
    # Who is forgotten leaves the log, and so the estimates.
    auth.forget(staff.exposures(slot="home").exposures[0].user_id)
    assert staff.shadow_report(challenger).estimated_list_count == len(shoppers) - 1


def test_a_version_that_cannot_be_loaded_says_why_and_lists_are_shown_without_it(
    ann: Shopper, staff: Shopper, replica: RecommenderReplica, numbers: list[str]
) -> None:
    champion, _, damaged = numbers
    staff.write_shadow(damaged)
    eventually(lambda: "SHA-256" in staff.shadow_report(damaged).load_error)
    assert ann.recommendations(slot="home").model_version == champion
    assert staff.shadow_report(damaged).list_count == 0
    staff.delete_shadow(damaged)
    staff.delete_shadow(damaged)
    eventually(lambda: staff.shadow_report(damaged).load_error == "")


def test_only_versions_that_exist_are_put_in_shadow(staff: Shopper, ann: Shopper, numbers: list[str]) -> None:
    assert error_of(lambda: staff.write_shadow("999")).reason == "MODEL_VERSION_NOT_FOUND"
    assert error_of(lambda: ann.write_shadow(numbers[1])).code is grpc.StatusCode.PERMISSION_DENIED


def test_a_version_is_promoted_after_it_was_in_shadow(
    caller: Caller, staff: Shopper, replica: RecommenderReplica, numbers: list[str]
) -> None:
    champion, challenger, damaged = numbers
    admin = caller(role=Role.ADMIN)
    assert error_of(lambda: promote(admin, damaged, champion)).reason == "MODEL_NOT_SHADOWED"
    staff.write_shadow(challenger)
    eventually(lambda: challenger in replica.merchandising.current.shadows and staff.shadow_report(challenger).is_loaded)
    for _ in range(REQUIRED):
        caller().recommendations(slot="home")
    eventually(lambda: staff.shadow_report(challenger).list_count >= REQUIRED)
    # The versions of this test have passed no gate, which is looked at next.
    assert error_of(lambda: promote(admin, challenger, champion)).reason == "MODEL_REFUSED_BY_GATE"
    staff.delete_shadow(challenger)
