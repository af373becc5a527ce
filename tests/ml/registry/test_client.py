"""Versions in MLflow: their provenance, aliases, pages and promotion."""

import pytest
from mlflow import MlflowClient

from ml.registry.client import GateNotPassed, NoPreviousVersion, RegistryUnavailable, VersionNotFound
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.model_registry import LINEAGE, ModelRegistry


def test_a_version_has_the_provenance_that_it_was_registered_with(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    number = registry.register(1)
    version = loop.run(registry.client.get(number))
    assert (version.number, version.aliases, version.promote_time) == ("1", ("challenger",), None)
    provenance = version.provenance
    assert (provenance.recipe, str(provenance.data_through_date), provenance.metrics) == ("quick", "2011-12-09", {"test.score": 0.9})
    assert provenance.parameters == {"quality": 0.9, "trees": {"count": 120}}
    assert [(check.name, check.required) for check in provenance.gate.checks] == [("test.score beats the baseline", 0.5)]
    assert provenance.lineage == LINEAGE
    assert version.run_url.startswith(f"{mlflow.url}/#/experiments/")
    assert version.run_url.endswith(f"/runs/{version.run_id}")


def test_the_run_of_a_version_has_its_metrics_and_parameters(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    version = loop.run(registry.client.get(registry.register(1)))
    run = MlflowClient(mlflow.url).get_run(version.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"test.score": 0.9})
    assert run.data.params == {"recipe": "quick", "quality": "0.9", "trees.count": "120"}
    assert (run.data.tags["data_hash"], run.data.tags["mlflow.source.git.commit"]) == (LINEAGE.data_hash, "c0ffee")


def test_versions_are_listed_newest_first_and_paged(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2, 3):
        registry.register(answer)
    first = loop.run(registry.client.page(2))
    second = loop.run(registry.client.page(2, first.next_token))
    assert [version.number for version in first.versions] == ["3", "2"]
    assert [version.number for version in second.versions] == ["1"]
    assert second.next_token == ""
    assert first.versions[0].aliases == ("challenger",)


def test_an_empty_registry_has_no_versions(registry: ModelRegistry, loop: Loop) -> None:
    assert registry.champion_number() == ""
    assert loop.run(registry.client.page(10)) == ([], "")
    with pytest.raises(VersionNotFound):
        loop.run(registry.client.get("1"))
    with pytest.raises(NoPreviousVersion):
        loop.run(registry.client.previous())


def test_promotion_moves_the_aliases(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2):
        promoted = registry.promote(registry.register(answer))
    assert promoted.aliases == ("champion",)
    assert promoted.promote_time is not None
    assert promoted.promote_time > promoted.create_time
    assert loop.run(registry.client.get("1")).aliases == ("previous",)
    assert registry.promote("2").promote_time == promoted.promote_time


def test_a_version_that_did_not_pass_the_gate_is_only_promoted_by_force(registry: ModelRegistry, loop: Loop) -> None:
    number = registry.register(1, passed=False)
    with pytest.raises(GateNotPassed):
        registry.promote(number)
    assert registry.champion_number() == ""
    loop.run(registry.client.promote(number, force=True))
    assert registry.champion_number() == number


def test_versions_registered_by_others_are_left_out(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    registry.register(1)
    MlflowClient(mlflow.url).create_model_version(registry.model, "s3://elsewhere/model")
    assert [version.number for version in loop.run(registry.client.page(10)).versions] == ["1"]


def test_a_registry_that_cannot_be_reached_is_named(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    with mlflow.stopped(), pytest.raises(RegistryUnavailable, match=f"MLflow at {mlflow.url} cannot be reached"):
        loop.run(registry.client.champion())
