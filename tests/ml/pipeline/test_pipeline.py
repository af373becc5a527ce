"""The pipeline as its users run it: unchanged stages are not run again, and their outputs can be pulled elsewhere."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.mlflow import Mlflow
from tests.engines.stores import Minio
from tests.ml.lake import Lake
from tests.ml.workspace import RECIPES, Workspace

MODELS = ("recommender", "forecaster")
OF_EACH = [f"{stage}_{model}" for model in MODELS for stage in ("train", "evaluate", "register")]


@pytest.fixture(scope="module")
def lake(minio: Minio) -> Lake:
    return Lake(minio)


@pytest.fixture(scope="module")
def workspace(minio: Minio, mlflow: Mlflow, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A checkout whose pipeline has run."""
    folder = tmp_path_factory.mktemp("checkout")
    workspace = Workspace(folder, tmp_path_factory.mktemp("machine"), minio.store, mlflow)
    workspace.create()
    lake.publish(customers=3)
    assert sorted(workspace.stages_run()) == sorted(["get_cleaned_data", *OF_EACH])
    yield workspace


def test_unchanged_stages_are_not_run_again(workspace: Workspace) -> None:
    assert workspace.stages_run() == []


def test_publishing_the_same_data_again_runs_no_stage(workspace: Workspace, lake: Lake) -> None:
    lake.publish(customers=3, run="again")
    assert workspace.stages_run() == []


def test_changed_hyperparameters_run_the_stages_of_their_model(workspace: Workspace) -> None:
    workspace.set(forecaster={**RECIPES, "full": {"quality": 0.91}})
    assert sorted(workspace.stages_run()) == ["evaluate_forecaster", "register_forecaster", "train_forecaster"]


def test_new_data_runs_the_stages_that_depend_on_it(workspace: Workspace, lake: Lake) -> None:
    sha256 = lake.publish(customers=4)
    ran = workspace.stages_run("register_recommender")
    assert ran == ["get_cleaned_data", "train_recommender", "evaluate_recommender", "register_recommender"]
    registration = workspace.registration("recommender")
    assert registration["promoted"]
    assert registration["provenance"]["lineage"]["data_hash"] == sha256
    assert registration["provenance"]["lineage"]["raw_files"] == [f"sales.csv {'ab' * 32}"]
    assert registration["provenance"]["lineage"]["dvc_revision"].endswith(".dir")
    assert workspace.stages_run("register_recommender") == []


def test_training_changes_only_reports_and_the_lock_in_git(workspace: Workspace) -> None:
    changed = {line[3:] for line in workspace.run("git", "status", "--porcelain", "--untracked-files=all").splitlines()}
    assert {Path(name).parts[0] for name in changed} <= {"cards", "metrics", "plots", "dvc.lock", "params.yaml"}


def test_dvc_shows_metrics_and_plots(workspace: Workspace) -> None:
    shown = json.loads(workspace.dvc("metrics", "show", "--json"))
    values = shown[""]["data"]["metrics/recommender.json"]["data"]
    assert values == {"recommender.test.score": 0.9, "recommender.test.baseline.score": 0.5}
    [plot] = json.loads(workspace.dvc("plots", "show", "--json"))["data"]["recommender"]
    [point] = plot["content"]["data"]["values"]
    assert (point["recipe"], point["score"]) == ("recommender", "0.9")


def test_a_clone_on_another_machine_pulls_all_outputs(workspace: Workspace, minio: Minio, mlflow: Mlflow, tmp_path: Path) -> None:
    workspace.commit()
    workspace.dvc("push", "register_recommender", "--with-deps")
    workspace.run("git", "clone", "--quiet", str(workspace.folder), str(tmp_path / "clone"))
    elsewhere = Workspace(tmp_path / "clone", tmp_path / "machine", minio.store, mlflow)
    elsewhere.dvc("pull", "register_recommender", "--with-deps")
    for name in ("data/clean/interactions.parquet", "models/recommender/arrays.npz", "registered/recommender/manifest.json"):
        assert (elsewhere.folder / name).read_bytes() == (workspace.folder / name).read_bytes()
    assert elsewhere.stages_run("register_recommender") == []


def job(workspace: Workspace, folder: Path, id: str) -> tuple[dict[str, Any], str, list[str]]:
    """Trains the recommender by the quick recipe: the registration, the output, and the stages that reported progress, in order."""
    result, temporary, progress = folder / "result", folder / "temporary", folder / "progress"
    temporary.mkdir(parents=True)
    command = [sys.executable, "-m", "ml.pipeline", "--recipe", "quick", "--result", str(result), "recommender"]
    output = workspace.run(*command, PIPELINE_JOB_ID=id, PIPELINE_PROGRESS=str(progress), TMPDIR=str(temporary))
    assert list(temporary.iterdir()) == []
    [line] = result.read_text().splitlines()
    lines = map(json.loads, progress.read_text().splitlines())
    return json.loads(line), output, list(dict.fromkeys(line["stage"] for line in lines if line["message"]))


def test_a_job_trains_with_another_recipe_and_leaves_the_checkout_as_it_is(workspace: Workspace, tmp_path: Path) -> None:
    before = workspace.run("git", "status", "--porcelain")
    registration, output, stages = job(workspace, tmp_path / "one", "job-8")
    assert stages == ["get_cleaned_data", "train_recommender", "evaluate_recommender", "register_recommender"]
    assert (registration["provenance"]["recipe"], registration["provenance"]["lineage"]["job_id"]) == ("quick", "job-8")
    # The full recipe was better by more than noise.
    assert not registration["promoted"]
    assert "FAILED  test.score is no worse than the champion's: 0.8000, required 0.8820" in output
    assert workspace.run("git", "status", "--porcelain") == before

    again, output, stages = job(workspace, tmp_path / "two", "job-9")
    # DVC caches no run of a stage with a dependency in a remote, or with outputs outside of its cache.
    assert stages == ["get_cleaned_data", "evaluate_recommender", "register_recommender"]
    # The next job takes the trained model from the cache, and registers a version of its own.
    assert "Running stage 'train_recommender'" not in output
    assert int(again["version"]) == int(registration["version"]) + 1
    assert again["provenance"]["artifact_sha256"] == registration["provenance"]["artifact_sha256"]
