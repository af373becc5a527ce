"""Stage: a model fitted on all history, registered in MLflow, and promoted if its recipe passes the gate.

    python -m ml.pipeline.register recommender

The gate judges what was measured of the same recipe, fitted before the test window.
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
from ml.pipeline.figures import pictures
from ml.pipeline.get_cleaned_data import DataOrigin
from ml.pipeline.progress import reporter
from ml.pipeline.registration import Registration, commit
from ml.pipeline.settings import Settings
from ml.registry import artifact, gate
from ml.registry import champion as registry
from ml.registry.client import RegistryClient, RegistryUnavailable, registered_name
from ml.registry.errors import InvalidArtifact
from ml.registry.version import Lineage, ModelVersion, Provenance


class Model(registry.Model, Protocol):
    """A model as it was fitted, or as it was loaded."""

    def save(self, folder: Path) -> None:
        """Writes it as an artifact."""


class Training(NamedTuple):
    """How a model is made and measured, from a folder of clean data and the numbers of a recipe."""

    # Fits it on all history.
    refit: Callable[[Path, Mapping[str, Any]], Model]
    # Fits it before the test window and measures it there, by the same names as the evaluation.
    measure: Callable[[Path, Mapping[str, Any]], Mapping[str, float]]
    load: Callable[[Path], Model]


def training(model: str) -> Training:
    """That of `recommender` or `forecaster`."""
    train, evaluate, loaded = (import_module(f"ml.{model}.{name}") for name in ("train", "evaluate", "model"))
    return Training(train.refit, evaluate.measure, getattr(loaded, model.capitalize()).load)


def register(folder: Path, model: str, training: Training, settings: Settings) -> Registration:
    """Judges, refits, registers and, if the gate is passed, promotes. Leaves the model in `registered/` below the folder.

    folder: where the pipeline runs, with what its earlier stages have left there

    Raises `RegistryUnavailable` or MLflow's `MlflowException` while MLflow or its store cannot be reached.
    """
    report = reporter(f"register_{model}", settings)
    data, name = folder / "data" / "clean", registered_name(model)
    params = parameters.read(folder / parameters.FILE)
    dataset = Dataset.model_validate_json((data / "dataset.json").read_bytes())
    metrics = measured(folder / "metrics" / f"{model}.json", model)
    report("comparing with the baselines and the champion")
    champion = asyncio.run(_champion(settings.mlflow_url, name))
    judgement = gate.judge(
        params.gate.of(model),
        metrics,
        None if champion is None else _metrics(champion, dataset.sha256, training, data),
        noise=params.gate.noise,
        limited=dataset.sha256 == params.gate.limits_of,
    )
    saved = folder / "registered" / model
    report("fitting on all history")
    training.refit(data, params.of(model)).save(saved)
    training.load(saved).check()
    provenance = Provenance(
        artifact_sha256=artifact.digest(saved),
        recipe=params.recipe,
        parameters=params.of(model),
        data_through_date=dataset.through_date,
        metrics=metrics,
        gate=judgement,
        lineage=lineage(folder, dataset, settings),
    )
    report("registering in MLflow")
    number = tracking.register(settings.mlflow_url, name, provenance, saved, _papers(folder, model), pictures(folder, model))
    version = asyncio.run(_settled(settings.mlflow_url, name, number, promote=judgement.passed))
    report(f"version {number} {'is the champion' if judgement.passed else 'did not pass the gate and stays a challenger'}")
    return Registration(version=number, run_id=version.run_id, promoted=judgement.passed, provenance=provenance)


def measured(file: Path, model: str) -> dict[str, float]:
    """The metrics that the evaluation wrote, without the model's own name before each."""
    return {name.removeprefix(f"{model}."): float(value) for name, value in tracking.flat(json.loads(file.read_text()))}


def lineage(folder: Path, dataset: Dataset, settings: Settings) -> Lineage:
    """Where a model trained in this folder comes from."""
    origin = DataOrigin.model_validate_json((folder / "data" / "origin.json").read_bytes())
    # DVC notes what a stage has left before it runs the next.
    outs = YAML(typ="safe", pure=True).load(folder / "dvc.lock")["stages"]["get_cleaned_data"]["outs"]
    return Lineage(
        dvc_revision=next(out["md5"] for out in outs if out["path"] == "data/clean"),
        data_hash=dataset.sha256,
        job_id=settings.job_id,
        etl_job_id=origin.job_id,
        raw_files=tuple(f"{file.name} {file.sha256}" for file in origin.raw_files),
        code_commit=settings.code_commit or commit(folder),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.pipeline.register", description=__doc__)
    parser.add_argument("model", choices=("recommender", "forecaster"))
    model = parser.parse_args().model
    try:
        registration = register(Path(), model, training(model), Settings())
    except (MlflowException, InvalidArtifact, RegistryUnavailable) as error:
        sys.exit(f"The {model} was not registered: {error}")
    Path("registered", f"{model}.json").write_text(registration.model_dump_json(indent=1) + "\n")
    for check in registration.provenance.gate.checks:
        print(f"{'passed' if check.passed else 'FAILED'}  {check.name}: {check.measured:.4f}, required {check.required:.4f}")


# Between two bytes of an answer: MLflow reads its tables, and the files come from the store behind it.
_TIMEOUT_SECONDS = 30


def _metrics(champion: ModelVersion, data_hash: str, training: Training, data: Path) -> Mapping[str, float]:
    """What the champion's recipe comes to on this data: known if it was judged on it, else measured."""
    if champion.provenance.lineage.data_hash == data_hash:
        return champion.provenance.metrics
    return training.measure(data, champion.provenance.parameters)


def _papers(folder: Path, model: str) -> list[Path]:
    """What tells of a training."""
    names = (f"metrics/{model}.json", f"plots/{model}", f"cards/{model}.md", "params.yaml", "dvc.lock", "data/clean/dataset.json")
    return [path for path in map(folder.joinpath, names) if path.exists()]


async def _champion(url: str, name: str) -> ModelVersion | None:
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client:
        return await RegistryClient(client, url, name).champion()


async def _settled(url: str, name: str, number: str, *, promote: bool) -> ModelVersion:
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client:
        versions = RegistryClient(client, url, name)
        return await (versions.promote(number) if promote else versions.get(number))


if __name__ == "__main__":
    main()
