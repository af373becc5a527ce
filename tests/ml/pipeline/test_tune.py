"""The search for hyperparameters, where the best ones are known, and what it makes of a file of parameters."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial
from ruamel.yaml import YAML

from ml.pipeline import parameters
from ml.pipeline.tune import SEARCHES, SearchPlan, TrialRuns, Tuning, diff_of_parameters, optimize, score_of
from stack.settings import ROOT
from tests.engines.mlflow import Mlflow

HYPERPARAMETERS = {"seed": 1, "trees": 100, "rate": 0.1, "other": "stays"}


def measure(data: Path, hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    """Best at 300 trees and a rate of 0.02, where the objective is 2."""
    assert hyperparameters["other"] == "stays"
    return {"one": 4 - abs(hyperparameters["trees"] - 300) / 100, "two": -abs(hyperparameters["rate"] - 0.02), "three": 1000.0}


SEARCH = SearchPlan(
    {"trees": IntDistribution(100, 500, step=50), "rate": FloatDistribution(0.01, 0.2, log=True)}, measure, ("one", "two"), "maximize"
)


def found(trials: int, hyperparameters: Mapping[str, Any] = HYPERPARAMETERS) -> tuple[Tuning, list[FrozenTrial]]:
    reported: list[FrozenTrial] = []
    return optimize(SEARCH, trials, hyperparameters, Path(), reported.append), reported


def test_the_search_finds_the_best_hyperparameters_and_begins_with_the_recipe() -> None:
    outcome, reported = found(40)
    assert outcome.first.params == {"trees": 100, "rate": 0.1}
    assert score_of(outcome.first) == pytest.approx(0.96)
    assert outcome.changes["trees"] == 300
    assert len(reported) == 40
    assert reported[0].user_attrs["three"] == 1000.0


def test_the_same_seed_tries_the_same_values() -> None:
    one, other, another = (found(8, {**HYPERPARAMETERS, "seed": seed})[1] for seed in (1, 1, 2))
    assert [trial.params for trial in one] == [trial.params for trial in other] != [trial.params for trial in another]


def test_a_recipe_that_is_as_good_is_not_changed() -> None:
    assert found(1)[0].changes == {}
    assert found(10, {**HYPERPARAMETERS, "trees": 300, "rate": 0.02})[0].changes == {}


@pytest.mark.parametrize("model", sorted(SEARCHES))
def test_the_recipes_lie_in_the_space_that_is_searched(model: str) -> None:
    recipe = parameters.read(ROOT / parameters.FILE).hyperparameters(model)
    for name, distribution in SEARCHES[model].space.items():
        assert distribution._contains(distribution.to_internal_repr(recipe[name])), name


@pytest.mark.parametrize(("model", "name", "value"), [("recommender", "leaves", 47), ("forecaster", "rate", 0.06)])
def test_the_diff_changes_the_selected_recipe_alone(model: str, name: str, value: float, tmp_path: Path) -> None:
    file = tmp_path / parameters.FILE
    file.write_text((ROOT / parameters.FILE).read_text())
    before, yaml = parameters.read(file), YAML(typ="safe", pure=True)
    difference = diff_of_parameters(file, model, {name: value})
    assert before == parameters.read(file)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=difference, text=True, check=True)
    after = yaml.load(file)
    assert after[model]["full"] == {**before.hyperparameters(model), name: value}
    after[model]["full"] = dict(before.hyperparameters(model))
    assert after == yaml.load(ROOT / parameters.FILE)
    # Only lines of the recipe differ: comments and the form of the others stay.
    changed = [line for line in difference.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert len(changed) <= 4


def test_no_changes_are_no_diff() -> None:
    assert diff_of_parameters(ROOT / parameters.FILE, "recommender", {}) == ""


def test_each_trial_is_a_run_below_that_of_the_search(mlflow: Mlflow) -> None:
    runs = TrialRuns(mlflow.url, "recommender", "tuning of full")
    best = optimize(SEARCH, 3, HYPERPARAMETERS, Path(), runs.log).best
    runs.close(best, "the diff")
    client = MlflowClient(mlflow.url)
    experiment = client.get_experiment_by_name("hashiramart-recommender-tuning")
    assert experiment is not None
    *trials, search = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name)
    assert [run.info.run_name for run in trials] == ["trial 0", "trial 1", "trial 2"]
    assert {run.data.tags[MLFLOW_PARENT_RUN_ID] for run in trials} == {search.info.run_id}
    assert trials[0].data.params == {"trees": "100", "rate": "0.1"}
    assert trials[0].data.metrics["three"] == 1000.0
    assert search.data.tags["best_trial"] == str(best.number)
    assert search.data.metrics["objective"] == score_of(best)
    assert Path(client.download_artifacts(search.info.run_id, "params.diff")).read_text() == "the diff"
