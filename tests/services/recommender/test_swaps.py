"""The recommender serves the champion: no call fails during a swap, and the registry is not needed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hashiramart.model.v1 import model_pb2
from mesh.identity import Role
from mesh.settings import MeshSettings
from ml.pipeline import tracking
from tests.callers import Issuer
from tests.concurrent_calls import concurrent_calls
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.model_registry import SIGNER
from tests.services.catalog.shop import Shop
from tests.services.recommender import world
from tests.services.recommender.conftest import Caller
from tests.services.recommender.replica import MODEL, CatalogServer, RecommenderReplica
from tests.services.recommender.shopper import Shopper, step
from tests.services.waiting import eventually


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def numbers(mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two registered versions."""
    folder = tmp_path_factory.mktemp("trained")
    numbers = []
    for days in (7, 0):
        world.train(world.CUTOFF - timedelta(days=days)).save(folder / str(days))
        numbers.append(tracking.register(mlflow.url, MODEL, world.provenance(folder / str(days)), SIGNER, folder / str(days), []))
    return numbers


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
) -> Iterator[RecommenderReplica]:
    """A recommender that follows the registry."""
    replica = RecommenderReplica(loop, database_url, mesh_settings, issuer, catalog.address, folder, mlflow.url)
    loop.run(replica.catalog.wait_until_filled(30))
    yield replica
    replica.stop()


def promote(admin: Shopper, number: str, expected: str = "") -> model_pb2.Model:
    """expected: the champion before; by default there is none"""
    request = model_pb2.PromoteModelRequest(version=number, expected_champion_version=expected, reason="for a test", force=True)
    return admin.stub.PromoteModel(request, metadata=admin.metadata, timeout=30)


def test_no_call_fails_while_models_are_swapped(ann: Shopper, caller: Caller, numbers: list[str]) -> None:
    admin = caller(role=Role.ADMIN)
    assert step(ann.recommendations()) == "CATALOG"
    first, second = numbers
    assert promote(admin, first).serving
    with concurrent_calls(lambda: ann.recommendations().model_version, 4) as versions:
        promote(admin, second, first)
        assert ann.recommendations().model_version == second
        promote(admin, first, second)
        assert ann.recommendations().model_version == first
    assert set(versions) == {first, second}


def test_a_version_promoted_elsewhere_is_served_too(ann: Shopper, loop: Loop, replica: RecommenderReplica, numbers: list[str]) -> None:
    loop.run(replica.registry.promote(numbers[1], "for a test", force=True))
    eventually(lambda: ann.recommendations().model_version == numbers[1])


def test_without_the_registry_the_last_champion_is_served_also_after_a_restart(
    ann: Shopper,
    loop: Loop,
    replica: RecommenderReplica,
    mlflow: Mlflow,
    numbers: list[str],
    database_url: str,
    mesh_settings: MeshSettings,
    issuer: Issuer,
    catalog: CatalogServer,
    folder: Path,
) -> None:
    loop.run(replica.champion.promote(numbers[0], "for a test", promoted_by="", expected_champion=numbers[1], force=True))
    with mlflow.stopped():
        assert ann.recommendations().model_version == numbers[0]
        restarted = RecommenderReplica(loop, database_url, mesh_settings, issuer, catalog.address, folder, mlflow.url)
        assert restarted.champion.serving
        assert restarted.champion.serving.version.number == numbers[0]
        restarted.stop()
