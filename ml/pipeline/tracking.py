"""Logging of a training to MLflow, as a run and a model version."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from ml.pipeline.figures import PlotFigure
from ml.registry import signature
from ml.registry.signature import Signer
from ml.registry.version import CHALLENGER, Provenance

# The path of a model's artifact in its run.
ARTIFACT = "model"
# The tags of the version that its run has too.
RUN_TAGS = ("data_hash", "dvc_revision", "code_commit", "job_id", "etl_job_id", "data_through_date")


def register(
    url: str,
    model: str,
    provenance: Provenance,
    signer: Signer,
    artifact: Path,
    attachments: Iterable[Path],
    figures: Iterable[PlotFigure] = (),
    inputs: Sequence[DatasetInput] = (),
    check: Callable[[], None] = lambda: None,
) -> str:
    """Logs a training as a run, registers its model as the challenger, and returns the version's number.

    artifact: the model's folder, or the MLflow model that it is packaged in
    attachments: files and folders to log beside it: metrics, plots, the model card, `dvc.lock`
    figures: the drawn plots
    inputs: the data that the model was trained on
    check: called when everything is stored, before the version is created; may raise to leave it at that

    Raises `MlflowException` when MLflow or its store cannot be reached; a failed run may remain, but no version.
    """
    client = MlflowClient(url)
    experiment = client.get_experiment_by_name(model)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(model)
    run = client.create_run(experiment_id, run_name=f"{provenance.recipe} through {provenance.data_through_date}")
    run_id = run.info.run_id
    try:
        metrics = [Metric(name, value, run.info.start_time, 0) for name, value in provenance.metrics.items()]
        client.log_batch(run_id, metrics, _parameters(provenance), _run_tags(provenance))
        client.log_inputs(run_id, inputs)
        client.log_artifacts(run_id, str(artifact), ARTIFACT)
        _log_attachments(client, run_id, attachments)
        for figure in figures:
            client.log_figure(run_id, figure.figure, f"figures/{figure.name}.png")
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    check()
    _ensure_registered(client, model)
    source = f"{run.info.artifact_uri}/{ARTIFACT}"
    tags = provenance.tags()
    tags[signature.TAG] = signer.sign(model, tags)
    version = client.create_model_version(model, source, run_id, tags, await_creation_for=0)
    client.set_registered_model_alias(model, CHALLENGER, version.version)
    return str(version.version)


def record_gate(url: str, model: str, number: str, provenance: Provenance, signer: Signer) -> None:
    """Replaces the gate's decision on a version, which was judged again."""
    client, tags = MlflowClient(url), provenance.tags()
    before, after = client.get_model_version(model, number).tags[signature.TAG], signer.sign(model, tags)
    # Whenever this is interrupted, one of the version's signatures is right.
    for tag, value in ((signature.TAG, f"{before} {after}"), ("gate", tags["gate"]), (signature.TAG, after)):
        client.set_model_version_tag(model, number, tag, value)


def download(url: str, run_id: str, name: str, folder: Path) -> Path:
    """Downloads a file that was logged beside a model; returns its path, where there is nothing if the run has no such file."""
    client = MlflowClient(url)
    if any(entry.path == name for entry in client.list_artifacts(run_id)):
        client.download_artifacts(run_id, name, str(folder))
    return folder / name


def flatten(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The leaves of nested mappings, each with the dotted path that leads to it."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{rest}", leaf) for rest, leaf in flatten(value))
        else:
            yield name, value


def _log_attachments(client: MlflowClient, run_id: str, attachments: Iterable[Path]) -> None:
    for path in attachments:
        if path.is_dir():
            client.log_artifacts(run_id, str(path), path.name)
        else:
            client.log_artifact(run_id, str(path))


def _ensure_registered(client: MlflowClient, model: str) -> None:
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _parameters(provenance: Provenance) -> list[Param]:
    return [Param("recipe", provenance.recipe), *(Param(name, str(value)) for name, value in flatten(provenance.parameters))]


def _run_tags(provenance: Provenance) -> list[RunTag]:
    tags = provenance.tags()
    # MLflow's page of a run shows the commit under this name.
    return [RunTag("mlflow.source.git.commit", tags["code_commit"]), *(RunTag(name, tags[name]) for name in RUN_TAGS)]
