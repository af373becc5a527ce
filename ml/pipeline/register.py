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
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from mlflow.exceptions import MlflowException
from ruamel.yaml import YAML

from lake.manifest import Dataset
from ml.pipeline import packaging, parameters, tracking
from ml.pipeline.checkout import code_commit
from ml.pipeline.figures import draw_plots
from ml.pipeline.get_cleaned_data import DataOrigin
from ml.pipeline.lease import LeaseLost, check_lease
from ml.pipeline.progress import reporter
from ml.pipeline.registration import PROMOTION_REASON, Registration, connect
from ml.pipeline.settings import Settings
from ml.registry import artifact, gate
from ml.registry.artifact_folder import Model
from ml.registry.client import ChampionChanged, RegistryUnavailable, registered_name
from ml.registry.errors import InvalidArtifact
from ml.registry.judgement import Judgement
from ml.registry.version import Lineage, ModelVersion, Provenance


class SavableModel(Model, Protocol):
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
    pyfunc: ModuleType
    """How MLflow loads the model (`ml.pipeline.packaging`)."""


def trainer_of(model: str) -> Trainer:
    """The trainer of `recommender` or `forecaster`."""
    train, evaluate, module, pyfunc = (import_module(f"ml.{model}.{name}") for name in ("train", "evaluate", "model", "pyfunc"))
    return Trainer(train.refit, evaluate.measure, getattr(module, model.capitalize()).load, pyfunc)


def register(folder: Path, model: str, trainer: Trainer, settings: Settings) -> Registration:
    """Judges the recipe, refits the model, registers it and, if the gate is passed and no lists in shadow
    are required, promotes it. Saves it to `registered/` in the folder.

    folder: where the earlier stages have run

    A champion that was promoted meanwhile is compared with as well, before anything replaces it.

    Raises `RegistryUnavailable`, or MLflow's `MlflowException`, while MLflow or its store cannot be reached, and `LeaseLost`.
    """
    report = reporter(f"register_{model}", settings)
    data, saved, name = folder / "data" / "clean", folder / "registered" / model, registered_name(model)
    params = parameters.read(folder / parameters.FILE)
    dataset = Dataset.model_validate_json((data / "dataset.json").read_bytes())
    metrics = read_metrics(folder / "metrics" / f"{model}.json", model)
    report("comparing with the baselines and the champion")
    own_scores = read_scores(folder / "scores" / f"{model}_scores.json")

    def judge(champion: ModelVersion | None) -> Judgement:
        champion_metrics, notes = _champion_metrics(champion, dataset.sha256, trainer, data)
        scores = own_scores, _champion_scores(settings.mlflow_url, champion, dataset.sha256, model)
        limited = dataset.sha256 == params.gate.limits_of
        rules, noise = params.gate.rules(model), params.gate.noise
        judgement = gate.judge(rules, metrics, champion_metrics, noise=noise, limited=limited, scores=scores)
        age = [gate.check_age(dataset.through_date, champion.provenance.data_through_date)] if champion else []
        # Only what forbids the promotion is recorded of it.
        failed = [check for check in age if not check.passed]
        return judgement.model_copy(update={"checks": (*judgement.checks, *failed), "notes": (*notes, *judgement.notes)})

    champion = asyncio.run(_champion(model, settings))
    judgement = judge(champion)
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
    attachments, figures = _attachments(folder, model), draw_plots(folder, model)
    inputs = [packaging.dataset_input(dataset, settings.lake_bucket)]
    with TemporaryDirectory() as work:
        package = packaging.package(saved, trainer.pyfunc, Path(work))
        number = tracking.register(
            settings.mlflow_url, name, provenance, settings.signer, package, attachments, figures, inputs, lambda: check_lease(settings)
        )
    while True:
        check_lease(settings)
        try:
            version = asyncio.run(_promote_if_passed(model, settings, number, judgement, champion))
            break
        except ChampionChanged:
            champion = asyncio.run(_champion(model, settings))
            judgement = judge(champion)
            provenance = provenance.model_copy(update={"gate": judgement})
            tracking.record_gate(settings.mlflow_url, name, number, provenance, settings.signer)
    held = judgement.passed and settings.holds_back(model, champion)
    promoted = judgement.passed and not held
    report(f"version {number} {_fate(promoted, held)}")
    return Registration(version=number, run_id=version.run_id, promoted=promoted, awaits_promotion=held, provenance=provenance)


def read_metrics(file: Path, model: str) -> dict[str, float]:
    """Reads the metrics that the evaluation wrote, without the model's name before each."""
    return {name.removeprefix(f"{model}."): float(value) for name, value in tracking.flatten(json.loads(file.read_text()))}


def read_scores(file: Path) -> gate.ScoresById:
    """Reads the scores by user or series that the evaluation wrote; none without a file."""
    scores: gate.ScoresById = json.loads(file.read_text()) if file.exists() else {}
    return scores


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
    except (MlflowException, InvalidArtifact, LeaseLost, RegistryUnavailable) as error:
        sys.exit(f"The {model} was not registered: {error}")
    Path("registered", f"{model}.json").write_text(registration.model_dump_json(indent=1) + "\n")
    for note in registration.provenance.gate.notes:
        print(f"note    {note}")
    for check in registration.provenance.gate.checks:
        print(f"{'passed' if check.passed else 'FAILED'}  {check.name}: {check.measured:.4f}, required {check.required:.4f}")


def _champion_metrics(
    champion: ModelVersion | None, data_hash: str, trainer: Trainer, data: Path
) -> tuple[Mapping[str, float] | None, tuple[str, ...]]:
    """The metrics of the champion's recipe on this data: recorded if it was judged on it, else measured.

    A recipe that today's code cannot fit, such as one of another format, is not compared: None, with a note that says so.
    """
    if champion is None:
        return None, ()
    if champion.provenance.lineage.data_hash == data_hash:
        return champion.provenance.metrics, ()
    try:
        return trainer.measure(data, champion.provenance.parameters), ()
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        note = f"the recipe of version {champion.number}, the champion, cannot be fitted by this code, and is not compared: {reason}"
        return None, (note,)


def _champion_scores(url: str, champion: ModelVersion | None, data_hash: str, model: str) -> gate.ScoresById:
    """The champion's scores by user or series, kept with its version; none if it was judged on other data or has none."""
    if champion is None or champion.provenance.lineage.data_hash != data_hash:
        return {}
    with TemporaryDirectory() as folder:
        return read_scores(tracking.download(url, champion.run_id, f"{model}_scores.json", Path(folder)))


def _attachments(folder: Path, model: str) -> list[Path]:
    """The files and folders that are logged beside the model, if they exist."""
    names = (
        f"scores/{model}_scores.json",
        f"metrics/{model}.json",
        f"plots/{model}",
        f"cards/{model}.md",
        "params.yaml",
        "dvc.lock",
        "data/clean/dataset.json",
    )
    return [path for path in map(folder.joinpath, names) if path.exists()]


def _fate(promoted: bool, held: bool) -> str:
    """What becomes of a version, for people."""
    if promoted:
        return "is the champion"
    return "passed the gate and waits for its lists in shadow" if held else "did not pass the gate and stays a challenger"


async def _champion(model: str, settings: Settings) -> ModelVersion | None:
    async with connect(model, settings) as versions:
        return await versions.champion_to_replace()


async def _promote_if_passed(
    model: str, settings: Settings, number: str, judgement: Judgement, champion: ModelVersion | None
) -> ModelVersion:
    """champion: the one that was judged against. Raises `ChampionChanged` if there is another by now."""
    async with connect(model, settings) as versions:
        if not judgement.passed or settings.holds_back(model, champion):
            return await versions.get(number)
        return await versions.promote(number, PROMOTION_REASON, expected_champion=champion.number if champion else "")


if __name__ == "__main__":
    main()
