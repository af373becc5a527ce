"""Stage: fits a model on all history, registers it in MLflow, and promotes it if its recipe passes the gate.

    python -m ml.pipeline.register recommender

The gate judges the metrics of the same recipe, fitted before the test window.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx
from mlflow.exceptions import MlflowException
from ruamel.yaml import YAML

from lake.manifest import Dataset
from ml.pipeline import parameters, tracking
from ml.pipeline.checkout import code_commit
from ml.pipeline.figures import draw_plots
from ml.pipeline.get_cleaned_data import DataOrigin
from ml.pipeline.parameters import Parameters
from ml.pipeline.progress import reporter
from ml.pipeline.registration import TIMEOUT_SECONDS, Registration
from ml.pipeline.settings import Settings
from ml.registry import artifact, gate
from ml.registry import champion as registry
from ml.registry.client import RegistryClient, RegistryUnavailable, registered_name
from ml.registry.errors import InvalidArtifact
from ml.registry.gate import Judgement
from ml.registry.version import Lineage, ModelVersion, Provenance


class SavableModel(registry.Model, Protocol):
    """A fitted or loaded model."""

    def save(self, folder: Path) -> None:
        """Writes it as an artifact."""


class Trainer(NamedTuple):
    """The functions that fit, measure and load a model; they take a folder of clean data and hyperparameters."""

    refit: Callable[[Path, Mapping[str, Any]], SavableModel]
    """Fits a model on all history."""
    measure: Callable[[Path, Mapping[str, Any]], Mapping[str, float]]
    """Fits a model before the test window, and returns the metrics there by the same names as the evaluation."""
    load: Callable[[Path], SavableModel]


def trainer_of(model: str) -> Trainer:
    """The trainer of `recommender` or `forecaster`."""
    train, evaluate, module = (import_module(f"ml.{model}.{name}") for name in ("train", "evaluate", "model"))
    return Trainer(train.refit, evaluate.measure, getattr(module, model.capitalize()).load)


def register(folder: Path, model: str, trainer: Trainer, settings: Settings) -> Registration:
    """Judges the recipe, refits the model, registers it and, if the gate is passed, promotes it. Saves it to `registered/` in the folder.

    folder: where the earlier stages have run

    Raises `RegistryUnavailable`, or MLflow's `MlflowException`, while MLflow or its store cannot be reached.
    """
    report = reporter(f"register_{model}", settings)
    data, saved, name = folder / "data" / "clean", folder / "registered" / model, registered_name(model)
    params = parameters.read(folder / parameters.FILE)
    dataset = Dataset.model_validate_json((data / "dataset.json").read_bytes())
    metrics = read_metrics(folder / "metrics" / f"{model}.json", model)
    report("comparing with the baselines and the champion")
    champion = asyncio.run(_champion(settings.mlflow_url, name))
    champion_metrics = None if champion is None else _champion_metrics(champion, dataset.sha256, trainer, data)
    judgement = _judge(params, model, metrics, champion_metrics, dataset.sha256)
    report("fitting on all history")
    trainer.refit(data, params.hyperparameters(model)).save(saved)
    trainer.load(saved).check()
    provenance = Provenance(
        artifact_sha256=artifact.digest(saved),
        recipe=params.recipe,
        parameters=params.hyperparameters(model),
        data_through_date=dataset.through_date,
        metrics=metrics,
        gate=judgement,
        lineage=read_lineage(folder, dataset, settings),
    )
    report("registering in MLflow")
    number = tracking.register(settings.mlflow_url, name, provenance, saved, _attachments(folder, model), draw_plots(folder, model))
    version = asyncio.run(_promote_if_passed(settings.mlflow_url, name, number, judgement))
    report(f"version {number} {'is the champion' if judgement.passed else 'did not pass the gate and stays a challenger'}")
    return Registration(version=number, run_id=version.run_id, promoted=judgement.passed, provenance=provenance)


def read_metrics(file: Path, model: str) -> dict[str, float]:
    """Reads the metrics that the evaluation wrote, without the model's name before each."""
    return {name.removeprefix(f"{model}."): float(value) for name, value in tracking.flatten(json.loads(file.read_text()))}


def read_lineage(folder: Path, dataset: Dataset, settings: Settings) -> Lineage:
    """Reads what the earlier stages have left of where a model comes from."""
    origin = DataOrigin.model_validate_json((folder / "data" / "origin.json").read_bytes())
    # DVC writes the outputs of a stage to the lock before it runs the next.
    outs = YAML(typ="safe", pure=True).load(folder / "dvc.lock")["stages"]["get_cleaned_data"]["outs"]
    return Lineage(
        dvc_revision=next(out["md5"] for out in outs if out["path"] == "data/clean"),
        data_hash=dataset.sha256,
        job_id=settings.job_id,
        etl_job_id=origin.job_id,
        raw_files=tuple(f"{file.name} {file.sha256}" for file in origin.raw_files),
        code_commit=settings.code_commit or code_commit(folder),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.pipeline.register", description=__doc__)
    parser.add_argument("model", choices=("recommender", "forecaster"))
    model = parser.parse_args().model
    try:
        registration = register(Path(), model, trainer_of(model), Settings())
    except (MlflowException, InvalidArtifact, RegistryUnavailable) as error:
        sys.exit(f"The {model} was not registered: {error}")
    Path("registered", f"{model}.json").write_text(registration.model_dump_json(indent=1) + "\n")
    for check in registration.provenance.gate.checks:
        print(f"{'passed' if check.passed else 'FAILED'}  {check.name}: {check.measured:.4f}, required {check.required:.4f}")


def _judge(
    params: Parameters, model: str, metrics: Mapping[str, float], champion_metrics: Mapping[str, float] | None, data_hash: str
) -> Judgement:
    limited = data_hash == params.gate.limits_of
    return gate.judge(params.gate.rules(model), metrics, champion_metrics, noise=params.gate.noise, limited=limited)


def _champion_metrics(champion: ModelVersion, data_hash: str, trainer: Trainer, data: Path) -> Mapping[str, float]:
    """The metrics of the champion's recipe on this data: recorded if it was judged on it, else measured."""
    if champion.provenance.lineage.data_hash == data_hash:
        return champion.provenance.metrics
    return trainer.measure(data, champion.provenance.parameters)


def _attachments(folder: Path, model: str) -> list[Path]:
    """The files and folders that are logged beside the model, if they exist."""
    names = (f"metrics/{model}.json", f"plots/{model}", f"cards/{model}.md", "params.yaml", "dvc.lock", "data/clean/dataset.json")
    return [path for path in map(folder.joinpath, names) if path.exists()]


async def _champion(url: str, name: str) -> ModelVersion | None:
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        return await RegistryClient(client, url, name).champion()


async def _promote_if_passed(url: str, name: str, number: str, judgement: Judgement) -> ModelVersion:
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        versions = RegistryClient(client, url, name)
        return await (versions.promote(number) if judgement.passed else versions.get(number))


if __name__ == "__main__":
    main()
