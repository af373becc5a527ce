"""Searches the hyperparameters of a model on the validation windows.

    python -m ml.pipeline.tune recommender --trials 50

Of the clean data, nothing from the test windows on is read. Each trial is a run in MLflow, below that of the search. The first trial has
the values of the selected recipe. What is found is printed as a diff of `params.yaml`, and written to `tuning/recommender.diff`, for
`git apply`; `params.yaml` itself stays as it is.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from difflib import unified_diff
from io import StringIO
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

import optuna
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from ruamel.yaml import YAML

from ml.forecaster.fitting import HistoryTooShort
from ml.pipeline import parameters
from ml.pipeline.settings import Settings
from ml.pipeline.validation import forecaster_scores, recommender_scores
from ml.registry.client import registered_name

DATA, RESULTS = Path("data/clean"), Path("tuning")
# Chance decides between recipes that are closer to each other than this share.
MIN_GAIN = 0.002
_SIGNIFICANT_DIGITS = 3

Scores = Mapping[str, float]


class SearchPlan(NamedTuple):
    """What is searched for a model."""

    space: Mapping[str, IntDistribution | FloatDistribution]
    """By hyperparameter."""
    measure: Callable[[Path, Mapping[str, Any]], Scores]
    """Fits hyperparameters to a folder of clean data, and scores them in the validation windows."""
    objective: tuple[str, ...]
    """The scores whose mean is optimized."""
    direction: Literal["maximize", "minimize"]


SEARCHES: Mapping[str, SearchPlan] = {
    "recommender": SearchPlan(
        {
            "trees": IntDistribution(100, 600, step=50),
            "leaves": IntDistribution(15, 63, step=8),
            "learning_rate": FloatDistribution(0.02, 0.1, log=True),
            "negatives": IntDistribution(50, 300, step=50),
            "ease_penalty": FloatDistribution(100, 1000, log=True),
            "item_neighbours": IntDistribution(100, 400, step=50),
            "graph_dimensions": IntDistribution(64, 256, step=32),
            "factors": IntDistribution(64, 256, step=32),
            "factors_weight": FloatDistribution(2, 40, log=True),
            "factors_penalty": FloatDistribution(0.1, 10, log=True),
        },
        recommender_scores,
        ("all.ndcg_at_20", "new.ndcg_at_20"),
        "maximize",
    ),
    "forecaster": SearchPlan(
        {
            "rows": IntDistribution(30_000, 150_000, step=10_000),
            "span": IntDistribution(400, 760, step=60),
            "rounds": IntDistribution(30, 200, step=10),
            "rate": FloatDistribution(0.04, 0.2, log=True),
            "leaves": IntDistribution(15, 63, step=8),
        },
        forecaster_scores,
        ("mase", "sql", "total_rmsse"),
        "minimize",
    ),
}


class Tuning(NamedTuple):
    """What a search has found."""

    first: FrozenTrial
    """The trial of the recipe as it is."""
    best: FrozenTrial
    changes: Mapping[str, Any]
    """The hyperparameters to change, with their values; none unless the best trial is better by MIN_GAIN."""


def optimize(
    search: SearchPlan, trials: int, hyperparameters: Mapping[str, Any], data: Path, report: Callable[[FrozenTrial], None]
) -> Tuning:
    """Tries hyperparameters, beginning with those that are given, whose seed makes the search repeatable.

    report: is called after each trial
    """

    def score(trial: optuna.Trial) -> float:
        suggested = {name: _suggest(trial, name, distribution) for name, distribution in search.space.items()}
        scores = search.measure(data, {**hyperparameters, **suggested})
        for name, value in scores.items():
            trial.set_user_attr(name, value)
        return fmean(scores[name] for name in search.objective)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=search.direction, sampler=optuna.samplers.TPESampler(seed=hyperparameters["seed"]))
    study.enqueue_trial({name: hyperparameters[name] for name in search.space})
    study.optimize(score, n_trials=trials, callbacks=[lambda _, trial: report(trial)])
    first, best = study.trials[0], study.best_trial
    gain = abs(score_of(best) - score_of(first)) / abs(score_of(first))
    written = {name: _as_written(value) for name, value in best.params.items()}
    changed = {name: value for name, value in written.items() if value != hyperparameters[name]}
    return Tuning(first, best, changed if gain >= MIN_GAIN else {})


def diff_of_parameters(file: Path, model: str, changes: Mapping[str, Any]) -> str:
    """What has to change in a `params.yaml` for the selected recipe of a model to have these hyperparameters, as a unified diff."""
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    before = file.read_text()
    content = yaml.load(before)
    for name, value in changes.items():
        content[model][content["recipe"]][name] = value
    after = StringIO()
    yaml.dump(content, after)
    old, new = (text.splitlines(keepends=True) for text in (before, after.getvalue()))
    return "".join(unified_diff(old, new, f"a/{file.name}", f"b/{file.name}"))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ml.pipeline.tune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=sorted(SEARCHES))
    parser.add_argument("--trials", type=int, default=20, help="how many sets of hyperparameters are tried, the recipe's own among them")
    arguments = parser.parse_args()
    if arguments.trials < 1:
        parser.error(f"--trials is the number of sets to try: {arguments.trials} is too few")
    if not DATA.exists():
        parser.error(f"{DATA} is missing: the stage get_cleaned_data copies it from the lake")
    model = arguments.model
    params = parameters.read(parameters.FILE)
    try:
        runs = TrialRuns(Settings().mlflow_url, model, f"tuning of {params.recipe}")
        outcome = optimize(SEARCHES[model], arguments.trials, params.hyperparameters(model), DATA, runs.log)
        difference = diff_of_parameters(parameters.FILE, model, outcome.changes)
        runs.close(outcome.best, difference)
    except MlflowException as error:
        sys.exit(f"MLflow does not take the trials: {error}")
    except HistoryTooShort as error:
        sys.exit(f"{model}: {error}")
    print(f"the recipe scores {score_of(outcome.first):.4f} in the validation windows, the best of all trials {score_of(outcome.best):.4f}")
    if not difference:
        print("no change: the recipe is as good, but for chance")
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{model}.diff").write_text(difference)
    print(difference, end="")


class TrialRuns:
    """The runs of a search in MLflow: one of the search, and below it one of each trial."""

    def __init__(self, url: str, model: str, name: str) -> None:
        self._client = MlflowClient(url)
        experiment_name = f"{registered_name(model)}-tuning"
        experiment = self._client.get_experiment_by_name(experiment_name)
        self._experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(experiment_name)
        self._id = self._client.create_run(self._experiment_id, run_name=name).info.run_id

    def log(self, trial: FrozenTrial) -> None:
        """Logs a trial, and prints its score."""
        value = score_of(trial)
        print(f"trial {trial.number}: {value:.4f}", flush=True)
        tags = {MLFLOW_PARENT_RUN_ID: self._id}
        run = self._client.create_run(self._experiment_id, run_name=f"trial {trial.number}", tags=tags)
        scores = {"objective": value, **trial.user_attrs}
        time = run.info.start_time
        self._client.log_batch(
            run.info.run_id,
            [Metric(name, score, time, 0) for name, score in scores.items()],
            [Param(name, str(chosen)) for name, chosen in trial.params.items()],
        )
        self._client.set_terminated(run.info.run_id)

    def close(self, best: FrozenTrial, difference: str) -> None:
        """Logs the best trial and the diff with the search, and ends its run."""
        self._client.log_batch(self._id, [Metric("objective", score_of(best), 0, 0)], [], [RunTag("best_trial", str(best.number))])
        self._client.log_text(self._id, difference, "params.diff")
        self._client.set_terminated(self._id)


def score_of(trial: FrozenTrial) -> float:
    """The objective of a trial. Raises `ValueError` if it was not completed."""
    if trial.state is not TrialState.COMPLETE or trial.value is None:
        raise ValueError(f"trial {trial.number} was not completed")
    return trial.value


def _suggest(trial: optuna.Trial, name: str, distribution: IntDistribution | FloatDistribution) -> float:
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step)
    return _as_written(trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log))


def _as_written(value: float) -> float:
    """A value as it would be written by hand."""
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
