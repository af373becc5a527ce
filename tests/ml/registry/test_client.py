"""The registry tells of each version what was told of it, and which serves."""

import pytest
from mlflow import MlflowClient

from ml.registry.client import GateNotPassed, NoPreviousVersion, RegistryUnavailable, VersionNotFound
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.shelf import LINEAGE, Shelf


def test_a_version_tells_all_that_was_told_of_it(shelf: Shelf, loop: Loop, mlflow: Mlflow) -> None:
    number = shelf.put(1)
    version = loop.run(shelf.versions.get(number))
    assert (version.number, version.aliases, version.promote_time) == ("1", ("challenger",), None)
    told = version.provenance
    assert (told.recipe, str(told.data_through_date), told.metrics) == ("quick", "2011-12-09", {"test.score": 0.9})
    assert told.parameters == {"quality": 0.9, "trees": {"count": 120}}
    assert [(check.name, check.required) for check in told.gate.checks] == [("test.score beats the baseline", 0.5)]
    assert told.lineage == LINEAGE
    assert version.run_url.startswith(f"{mlflow.url}/#/experiments/")
    assert version.run_url.endswith(f"/runs/{version.run_id}")


def test_the_run_of_a_version_can_be_read_in_mlflow(shelf: Shelf, loop: Loop, mlflow: Mlflow) -> None:
    version = loop.run(shelf.versions.get(shelf.put(1)))
    run = MlflowClient(mlflow.url).get_run(version.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"test.score": 0.9})
    assert run.data.params == {"recipe": "quick", "quality": "0.9", "trees.count": "120"}
    assert (run.data.tags["data_hash"], run.data.tags["mlflow.source.git.commit"]) == (LINEAGE.data_hash, "c0ffee")


def test_versions_are_listed_the_newest_first_page_by_page(shelf: Shelf, loop: Loop) -> None:
    for answer in (1, 2, 3):
        shelf.put(answer)
    first = loop.run(shelf.versions.page(2))
    second = loop.run(shelf.versions.page(2, first.next_token))
    assert [version.number for version in first.versions] == ["3", "2"]
    assert [version.number for version in second.versions] == ["1"]
    assert second.next_token == ""
    assert first.versions[0].aliases == ("challenger",)


def test_before_the_first_training_there_is_nothing(shelf: Shelf, loop: Loop) -> None:
    assert shelf.champion() == ""
    assert loop.run(shelf.versions.page(10)) == ([], "")
    with pytest.raises(VersionNotFound):
        loop.run(shelf.versions.get("1"))
    with pytest.raises(NoPreviousVersion):
        loop.run(shelf.versions.previous())


def test_promotion_moves_the_aliases(shelf: Shelf, loop: Loop) -> None:
    for answer in (1, 2):
        promoted = shelf.promote(shelf.put(answer))
    assert promoted.aliases == ("champion",)
    assert promoted.promote_time is not None
    assert promoted.promote_time > promoted.create_time
    assert loop.run(shelf.versions.get("1")).aliases == ("previous",)
    assert shelf.promote("2").promote_time == promoted.promote_time


def test_what_did_not_pass_the_gate_is_promoted_by_force_alone(shelf: Shelf, loop: Loop) -> None:
    number = shelf.put(1, passed=False)
    with pytest.raises(GateNotPassed):
        shelf.promote(number)
    assert shelf.champion() == ""
    loop.run(shelf.versions.promote(number, force=True))
    assert shelf.champion() == number


def test_what_others_registered_under_the_name_is_left_out(shelf: Shelf, loop: Loop, mlflow: Mlflow) -> None:
    shelf.put(1)
    MlflowClient(mlflow.url).create_model_version(shelf.model, "s3://elsewhere/model")
    assert [version.number for version in loop.run(shelf.versions.page(10)).versions] == ["1"]


def test_a_registry_that_is_away_is_named_as_such(shelf: Shelf, loop: Loop, mlflow: Mlflow) -> None:
    with mlflow.stopped(), pytest.raises(RegistryUnavailable, match=f"MLflow at {mlflow.url} cannot be reached"):
        loop.run(shelf.versions.champion())
