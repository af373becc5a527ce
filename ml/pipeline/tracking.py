"""MLflow: the run of a training, and the version that it registers."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from ml.pipeline.figures import Picture
from ml.registry.version import CHALLENGER, Provenance

# Where in a run its artifact lies.
ARTIFACT = "model"


def register(url: str, model: str, provenance: Provenance, artifact: Path, papers: Iterable[Path], pictures: Iterable[Picture] = ()) -> str:
    """Logs a training as a run and registers its model as the challenger; returns the version's number.

    artifact: the model's folder
    papers: files and folders that tell of it: metrics, plots, the model card, `dvc.lock`
    pictures: its plots, drawn

    Raises `MlflowException` when MLflow or its store cannot be reached; then there may be a run that failed, and no version.
    """
    client = MlflowClient(url)
    experiment = client.get_experiment_by_name(model)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(model)
    run = client.create_run(experiment_id, run_name=f"{provenance.recipe} through {provenance.data_through_date}")
    run_id = run.info.run_id
    try:
        time = run.info.start_time
        metrics = [Metric(name, value, time, 0) for name, value in provenance.metrics.items()]
        client.log_batch(run_id, metrics, _parameters(provenance), _tags(provenance))
        client.log_artifacts(run_id, str(artifact), ARTIFACT)
        for paper in papers:
            if paper.is_dir():
                client.log_artifacts(run_id, str(paper), paper.name)
            else:
                client.log_artifact(run_id, str(paper))
        for picture in pictures:
            client.log_figure(run_id, picture.figure, f"figures/{picture.name}.png")
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    _ensure_registered(client, model)
    source = f"{run.info.artifact_uri}/{ARTIFACT}"
    version = client.create_model_version(model, source, run_id, provenance.tags(), await_creation_for=0)
    client.set_registered_model_alias(model, CHALLENGER, version.version)
    return str(version.version)


def _ensure_registered(client: MlflowClient, model: str) -> None:
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _parameters(provenance: Provenance) -> list[Param]:
    return [Param("recipe", provenance.recipe), *(Param(name, str(value)) for name, value in flat(provenance.parameters))]


def _tags(provenance: Provenance) -> list[RunTag]:
    told = provenance.tags()
    names = ("data_hash", "dvc_revision", "code_commit", "job_id", "etl_job_id", "data_through_date")
    # MLflow's page shows the commit of a run that calls it so.
    return [RunTag("mlflow.source.git.commit", told["code_commit"]), *(RunTag(name, told[name]) for name in names)]


def flat(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The leaves of nested mappings, each under the dotted names that lead to it."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{rest}", leaf) for rest, leaf in flat(value))
        else:
            yield name, value
