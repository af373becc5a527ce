"""Workers train models on real engines, whichever of them dies on the way; the pipeline is real, its models are stand-ins."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from hashiramart.jobs.v1 import jobs_pb2
from hashiramart.model.v1 import model_pb2
from tests.engines.mlflow import Mlflow
from tests.engines.ports import own_settings
from tests.engines.stores import Minio
from tests.ml.lake import Lake
from tests.ml.workspace import RECIPES, Workspace
from tests.services.jobs.replica import JobsReplica
from tests.services.jobs.staff import WAIT_SECONDS, Staff
from tests.services.jobs.workers import WorkerProcess
from tests.services.waiting import eventually

MODEL = "hashiramart-recommender"
Workers = Callable[..., WorkerProcess]


@pytest.fixture(scope="module")
def workspace(minio: Minio, mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The checkout that the workers train in, and published clean data."""
    workspace = Workspace(tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("machine"), minio.store, mlflow)
    workspace.create()
    Lake(minio).publish(customers=3)
    return workspace


@pytest.fixture
def worker(tmp_path: Path, database_url: str, minio: Minio, mlflow: Mlflow, workspace: Workspace) -> Iterator[Workers]:
    """Makes workers: `with worker(): ...`. Fails if a training leaves a folder."""
    mlflow.forget(MODEL)
    spark_credentials = tmp_path / "stack" / "spark" / "s3.credentials"
    spark_credentials.parent.mkdir(parents=True)
    minio.store.write_credentials("spark", spark_credentials)
    settings: dict[str, object] = {
        "training_checkout": workspace.folder,
        "training_folder": tmp_path / "training",
        "training_credentials_file": workspace.environment["AWS_SHARED_CREDENTIALS_FILE"],
        "mlflow_url": mlflow.url,
        "mlflow_password": mlflow.secrets["MLFLOW_TRAINING_PASSWORD"],
        "signing_key": mlflow.secrets["PIPELINE_SIGNING_KEY"],
    }
    # The worker sets the other variables of the pipeline.
    own = ("AWS_", "MLFLOW_TRACKING_", "PIPELINE_")
    environment = {name: value for name, value in workspace.environment.items() if not name.startswith(own)}
    yield partial(WorkerProcess, tmp_path, database_url, own_settings(tmp_path / "stack"), minio, environment, **settings)
    assert not any((tmp_path / "training").glob("*"))


@pytest.fixture(autouse=True)
def _no_leftover_jobs(replica: JobsReplica) -> Iterator[None]:
    yield
    replica.end_all()


@pytest.fixture
def submitted(staff: Staff, replica: JobsReplica) -> Callable[..., str]:
    """Submits a training and completes its ETL."""

    def submit(recipe: model_pb2.Recipe.ValueType = model_pb2.RECIPE_UNSPECIFIED) -> str:
        id = staff.submit_training(recipe=recipe).id
        replica.complete_etls(id)
        return id

    return submit


def versions(mlflow: Mlflow) -> dict[str, str]:
    """The job of each registered version."""
    return {str(found.version): found.tags["job_id"] for found in MlflowClient(mlflow.url).search_model_versions(f"name='{MODEL}'")}


def champion(mlflow: Mlflow) -> str:
    return str(MlflowClient(mlflow.url).get_model_version_by_alias(MODEL, "champion").version)


def promoted(mlflow: Mlflow) -> bool:
    """Whether a model has become the champion and the promotion is complete."""
    found = MlflowClient(mlflow.url).search_registered_models(f"name='{MODEL}'")
    return bool(found) and set(found[0].aliases) == {"champion"}


def training_processes(id: str) -> list[psutil.Process]:
    """The processes of a job's training."""
    return [process for process in psutil.process_iter() if environment_of(process).get("PIPELINE_JOB_ID") == id]


def environment_of(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def test_a_training_is_watched_from_stage_to_stage_to_a_promoted_model(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow, minio: Minio
) -> None:
    id = submitted()
    with worker():
        events = list(staff.watch(id, timeout=WAIT_SECONDS))
    job = staff.get(id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED, job
    assert (job.etl_result.row_count, job.attempt_count, job.training_result.promoted) == (3, 1, True)
    assert dict(job.training_result.metrics) == {"test.score": 0.9, "test.baseline.score": 0.5}
    assert versions(mlflow) == {job.training_result.model_version: id}
    assert champion(mlflow) == job.training_result.model_version
    assert MlflowClient(mlflow.url).get_run(job.training_result.run_id).data.tags["job_id"] == id
    stages = [event.job.stage for event in events if event.HasField("job")]
    assert {"training", "evaluating", "registering"} < {*stages}
    assert all(event.job.progress.total_count == 4 for event in events if event.job.stage == "evaluating")
    lines = [event.log_line for event in events if event.HasField("log_line")]
    assert any(line.source == "training" and "Running stage 'train_recommender'" in line.text for line in lines)
    assert not any(secret in line.text for line in lines for _, secret in minio.store.keys.values())


def test_a_model_that_does_not_pass_the_gate_fails_the_job_with_the_failed_checks(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    with worker():
        better = staff.wait_for_end(submitted())
        refused = staff.wait_for_end(submitted(model_pb2.RECIPE_QUICK))
    assert (refused.state, refused.failure.reason) == (jobs_pb2.JOB_STATE_FAILED, "MODEL_REFUSED_BY_GATE")
    assert "test.score is no worse than the champion's: 0.8000, required 0.8820" in refused.failure.message
    assert (refused.training_result.promoted, refused.training_result.metrics["test.score"]) == (False, 0.8)
    assert versions(mlflow)[refused.training_result.model_version] == refused.id
    assert champion(mlflow) == better.training_result.model_version


def test_a_killed_workers_training_ends_with_it_and_the_next_trains_once(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with worker() as first:
        staff.wait(id, lambda job: job.stage == "registering")
        assert training_processes(id)
        first.kill()
        _, alive = psutil.wait_procs(training_processes(id), timeout=10)
        assert not alive
    with worker():
        job = staff.wait_for_end(id)
    assert (job.state, job.attempt_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 1), job
    assert versions(mlflow) == {job.training_result.model_version: id}


def test_a_paused_workers_training_ends_with_its_lease_and_the_next_trains_once(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with worker() as first, ExitStack() as pause:
        staff.wait(id, lambda job: bool(job.stage) and bool(training_processes(id)))
        pause.enter_context(first.paused())
        eventually(lambda: not training_processes(id))
        assert not versions(mlflow)
        with worker():
            eventually(lambda: bool(training_processes(id)))
            pause.close()
            job = staff.wait_for_end(id)
        assert (job.state, job.attempt_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 1), job
    assert versions(mlflow) == {job.training_result.model_version: id}


@pytest.mark.parametrize("aliases", [("challenger",), ("challenger", "champion"), ()], ids=["promoting", "promoted", "registered"])
def test_a_model_registered_before_the_worker_died_is_not_registered_again(
    staff: Staff,
    submitted: Callable[..., str],
    worker: Workers,
    mlflow: Mlflow,
    workspace: Workspace,
    tmp_path: Path,
    aliases: tuple[str, ...],
) -> None:
    """aliases: those that the version had when the worker died"""
    id = submitted()
    command = [sys.executable, "-m", "ml.pipeline", "--result", str(tmp_path / "result"), "recommender"]
    workspace.run(*command, PIPELINE_JOB_ID=id)
    registered = json.loads((tmp_path / "result").read_text())
    client = MlflowClient(mlflow.url)
    client.delete_registered_model_alias(MODEL, "champion")
    for alias in aliases:
        client.set_registered_model_alias(MODEL, alias, registered["version"])
    if not aliases:
        client.delete_model_version_tag(MODEL, registered["version"], "promotion")
    with worker():
        job = staff.wait_for_end(id)
    assert (job.state, job.training_result.model_version, job.training_result.run_id) == (
        jobs_pb2.JOB_STATE_SUCCEEDED,
        registered["version"],
        registered["run_id"],
    )
    assert versions(mlflow) == {registered["version"]: id}
    assert promoted(mlflow)
    assert champion(mlflow) == registered["version"]


def test_two_trainings_run_at_once(staff: Staff, replica: JobsReplica, worker: Workers, mlflow: Mlflow) -> None:
    ids = [staff.submit_training().id for _ in range(2)]
    replica.complete_etls(*ids)
    with worker(), worker():
        staff.wait(ids[1], lambda job: bool(job.stage))
        assert staff.get(ids[0]).state == jobs_pb2.JOB_STATE_RUNNING
        jobs = [staff.wait_for_end(id) for id in ids]
    assert [job.state for job in jobs] == [jobs_pb2.JOB_STATE_SUCCEEDED] * 2
    assert sorted(versions(mlflow).values()) == sorted(ids)


def test_a_cancelled_training_ends_at_once_and_registers_nothing(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with worker():
        staff.wait(id, lambda job: bool(job.stage) and bool(training_processes(id)))
        staff.cancel(id)
        assert staff.wait_for_end(id).state == jobs_pb2.JOB_STATE_CANCELLED
        assert not training_processes(id)
    assert not versions(mlflow)


def test_while_mlflow_is_unavailable_the_training_waits_and_keeps_the_result_of_the_etl(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with ExitStack() as outage:
        outage.enter_context(mlflow.stopped())
        # The only attempt; waiting does not use it up.
        with worker(attempts=1):
            waiting = staff.wait(id, lambda job: job.HasField("next_attempt_time"))
            assert (waiting.state, waiting.failure.reason) == (jobs_pb2.JOB_STATE_QUEUED, "ENGINE_UNAVAILABLE")
            assert waiting.failure.message == "MLflow cannot be reached"
            assert waiting.etl_result.row_count == 3
            outage.close()
            job = staff.wait_for_end(id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED, job
    assert not job.HasField("failure") and job.training_result.promoted


def test_a_training_fails_when_mlflow_is_unavailable_for_too_long(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with mlflow.stopped():
        with worker():
            staff.wait(id, lambda job: job.HasField("next_attempt_time"))
        with worker(job_seconds=0):
            job = staff.wait_for_end(id)
    assert (job.state, job.failure.reason) == (jobs_pb2.JOB_STATE_FAILED, "ENGINE_UNAVAILABLE"), job
    assert job.failure.message == "MLflow cannot be reached, for longer than the 0:00:00 that the job may take"
    assert job.etl_result.row_count == 3


def test_a_training_that_is_cancelled_after_its_promotion_has_succeeded(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow, minio: Minio, workspace: Workspace
) -> None:
    pipeline = workspace.folder / "dvc.yaml"
    text = pipeline.read_text()
    register = "python -m ml.pipeline.register recommender"
    assert text.count(register) == 1
    pipeline.write_text(text.replace(register, f"{register} && sleep 600"))
    try:
        id = submitted()
        with worker():
            staff.wait(id, lambda _: promoted(mlflow))
            staff.cancel(id)
            job = staff.wait_for_end(id)
            assert not training_processes(id)
    finally:
        pipeline.write_text(text)
    assert (job.state, job.training_result.promoted) == (jobs_pb2.JOB_STATE_SUCCEEDED, True), job
    assert champion(mlflow) == job.training_result.model_version
    assert dict(job.training_result.metrics) == {"test.score": 0.9, "test.baseline.score": 0.5}
    data = MlflowClient(mlflow.url).get_run(job.training_result.run_id).data.tags["dvc_revision"]
    assert minio.client("training").stat_object("dvc", f"files/md5/{data[:2]}/{data[2:]}")


def test_a_killed_training_is_retried(staff: Staff, submitted: Callable[..., str], worker: Workers) -> None:
    id = submitted()
    with worker():
        staff.wait(id, lambda job: bool(job.stage) and bool(training_processes(id)))
        # All at once: a stage that died before DVC would be an error of the training.
        os.killpg(os.getpgid(training_processes(id)[0].pid), signal.SIGKILL)
        waiting = staff.wait(id, lambda job: job.HasField("next_attempt_time"))
        assert waiting.failure.reason == "APPLICATION_FAILED"
        job = staff.wait_for_end(id)
    assert (job.state, job.attempt_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 2), job


def test_a_training_with_an_error_of_its_own_fails_and_is_not_retried(
    staff: Staff, submitted: Callable[..., str], worker: Workers, workspace: Workspace
) -> None:
    workspace.set(recommender={**RECIPES, "full": {}})
    try:
        id = submitted()
        with worker() as running:
            job = staff.wait_for_end(id)
    finally:
        workspace.set(recommender=RECIPES)
    assert (job.state, job.failure.reason, job.attempt_count) == (jobs_pb2.JOB_STATE_FAILED, "APPLICATION_FAILED", 1)
    assert job.etl_result.row_count == 3
    assert job.failure.message == "the training failed: KeyError: 'quality'"
    assert "the training failed: KeyError: 'quality'" in running.log.replace("\\", "")
    assert any("KeyError: 'quality'" in line.text for line in staff.lines(id, page_size=5000).log_lines)
