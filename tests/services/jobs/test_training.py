"""Models trained by real workers on real engines, whatever dies on the way; the pipeline is the real one, its models are stand-ins."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from hashiramart.jobs.v1 import jobs_pb2
from tests.engines.mlflow import Mlflow
from tests.engines.ports import own_settings
from tests.engines.stores import Minio
from tests.ml.lake import Lake
from tests.ml.workspace import RECIPES, Workspace
from tests.services.jobs.replica import Replica
from tests.services.jobs.staff import Staff
from tests.services.jobs.workers import Worker

WAIT_SECONDS = 600
MODEL = "hashiramart-recommender"
LIVE = (jobs_pb2.JOB_STATE_QUEUED, jobs_pb2.JOB_STATE_RUNNING, jobs_pb2.JOB_STATE_CANCELLING)
Workers = Callable[..., Worker]


@pytest.fixture(scope="module")
def workspace(minio: Minio, mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """What the workers train by, on clean data that was just published."""
    workspace = Workspace(tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("machine"), minio.store, mlflow)
    workspace.furnish()
    Lake(minio).publish(customers=3)
    return workspace


@pytest.fixture
def worker(tmp_path: Path, database_url: str, minio: Minio, mlflow: Mlflow, workspace: Workspace) -> Iterator[Workers]:
    """Makes workers: `with worker(): ...`. Trainings leave nothing behind."""
    mlflow.forget(MODEL)
    spark_credentials = tmp_path / "stack" / "spark" / "s3.credentials"
    spark_credentials.parent.mkdir(parents=True)
    minio.store.write_credentials("spark", spark_credentials)
    told: dict[str, object] = {
        "training_checkout": workspace.folder,
        "training_folder": tmp_path / "training",
        "training_credentials_file": workspace.environment["AWS_SHARED_CREDENTIALS_FILE"],
        "mlflow_url": mlflow.url,
    }
    # The rest of what the pipeline is told comes from the worker.
    environment = {name: value for name, value in workspace.environment.items() if not name.startswith(("AWS_", "PIPELINE_"))}
    yield partial(Worker, tmp_path, database_url, own_settings(tmp_path / "stack"), minio, environment, **told)
    assert not any((tmp_path / "training").glob("*"))


@pytest.fixture(autouse=True)
def _alone(replica: Replica) -> Iterator[None]:
    yield
    replica.end_all()


@pytest.fixture
def submitted(staff: Staff, replica: Replica) -> Callable[..., str]:
    """Submits a training whose ETL has ended well."""

    def submit(recipe: str = "") -> str:
        id = staff.submit_training("recommender", recipe).id
        replica.clean(id)
        return id

    return submit


def wait(staff: Staff, id: str, condition: Callable[[jobs_pb2.Job], bool]) -> jobs_pb2.Job:
    """The job, as soon as it is so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition(job := staff.get(id)):
        assert time.monotonic() < deadline, job
        assert job.state in LIVE, job
        time.sleep(0.1)
    return job


def end(staff: Staff, id: str) -> jobs_pb2.Job:
    return wait(staff, id, lambda job: job.state not in LIVE)


def versions(mlflow: Mlflow) -> dict[str, str]:
    """The job of each version that is registered."""
    return {str(found.version): found.tags["job_id"] for found in MlflowClient(mlflow.url).search_model_versions(f"name='{MODEL}'")}


def champion(mlflow: Mlflow) -> str:
    return str(MlflowClient(mlflow.url).get_model_version_by_alias(MODEL, "champion").version)


def promoted(mlflow: Mlflow) -> bool:
    """Whether a model has become the champion, and nothing is left to do about it."""
    found = MlflowClient(mlflow.url).search_registered_models(f"name='{MODEL}'")
    return bool(found) and set(found[0].aliases) == {"champion"}


def at_work(id: str) -> list[psutil.Process]:
    """The processes that train for a job."""
    return [process for process in psutil.process_iter() if told(process).get("PIPELINE_JOB_ID") == id]


def told(process: psutil.Process) -> dict[str, str]:
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
    assert (job.etl.row_count, job.attempt_count, job.training.promoted) == (3, 1, True)
    assert dict(job.training.metrics) == {"test.score": 0.9, "test.baseline.score": 0.5}
    assert versions(mlflow) == {job.training.model_version: id}
    assert champion(mlflow) == job.training.model_version
    assert MlflowClient(mlflow.url).get_run(job.training.run_id).data.tags["job_id"] == id
    stages = [event.job.stage for event in events if event.HasField("job")]
    assert {"training", "evaluating", "registering"} < {*stages}
    assert all(event.job.progress.total_count == 4 for event in events if event.job.stage == "evaluating")
    lines = [event.log_line for event in events if event.HasField("log_line")]
    assert any(line.source == "training" and "Running stage 'train_recommender'" in line.text for line in lines)
    assert not any(secret in line.text for line in lines for _, secret in minio.store.keys.values())


def test_what_the_gate_refuses_is_told_with_the_checks_that_failed(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    with worker():
        better = end(staff, submitted())
        refused = end(staff, submitted("quick"))
    assert (refused.state, refused.failure.reason) == (jobs_pb2.JOB_STATE_FAILED, "MODEL_REFUSED_BY_GATE")
    assert "test.score is no worse than the champion's: 0.8000, required 0.8820" in refused.failure.message
    assert (refused.training.promoted, refused.training.metrics["test.score"]) == (False, 0.8)
    assert versions(mlflow)[refused.training.model_version] == refused.id
    assert champion(mlflow) == better.training.model_version


def test_what_a_killed_worker_was_training_ends_with_it_and_is_trained_by_the_next_once(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with worker() as first:
        wait(staff, id, lambda job: job.stage == "registering")
        assert at_work(id)
        first.kill()
        _, alive = psutil.wait_procs(at_work(id), timeout=10)
        assert not alive
    with worker():
        job = end(staff, id)
    assert (job.state, job.attempt_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 1), job
    assert versions(mlflow) == {job.training.model_version: id}


def test_what_was_registered_before_the_worker_died_is_told_and_not_registered_again(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow, workspace: Workspace, tmp_path: Path
) -> None:
    id = submitted()
    command = [sys.executable, "-m", "ml.pipeline", "--result", str(tmp_path / "result"), "recommender"]
    workspace.run(*command, PIPELINE_JOB_ID=id)
    registered = json.loads((tmp_path / "result").read_text())
    # It died when all was done but the last: the promotion.
    client = MlflowClient(mlflow.url)
    client.delete_registered_model_alias(MODEL, "champion")
    client.set_registered_model_alias(MODEL, "challenger", registered["version"])
    with worker():
        job = end(staff, id)
    assert (job.state, job.training.model_version, job.training.run_id) == (
        jobs_pb2.JOB_STATE_SUCCEEDED,
        registered["version"],
        registered["run_id"],
    )
    assert versions(mlflow) == {registered["version"]: id}
    assert champion(mlflow) == registered["version"]


def test_two_trainings_at_once_stand_in_no_others_way(staff: Staff, replica: Replica, worker: Workers, mlflow: Mlflow) -> None:
    ids = [staff.submit_training("recommender").id for _ in range(2)]
    replica.clean(*ids)
    with worker(), worker():
        wait(staff, ids[1], lambda job: bool(job.stage))
        assert staff.get(ids[0]).state == jobs_pb2.JOB_STATE_RUNNING
        jobs = [end(staff, id) for id in ids]
    assert [job.state for job in jobs] == [jobs_pb2.JOB_STATE_SUCCEEDED] * 2
    assert sorted(versions(mlflow).values()) == sorted(ids)


def test_a_cancelled_training_ends_at_once_and_registers_nothing(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with worker():
        wait(staff, id, lambda job: bool(job.stage) and bool(at_work(id)))
        staff.cancel(id)
        assert end(staff, id).state == jobs_pb2.JOB_STATE_CANCELLED
        assert not at_work(id)
    assert not versions(mlflow)


def test_while_mlflow_is_away_the_training_waits_and_the_etl_stands(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    # One try would be too few, if waiting used tries up.
    with worker(attempts=1):
        with mlflow.stopped():
            waiting = wait(staff, id, lambda job: job.HasField("next_attempt_time"))
            assert (waiting.state, waiting.failure.reason) == (jobs_pb2.JOB_STATE_QUEUED, "ENGINE_UNAVAILABLE")
            assert waiting.failure.message == "MLflow cannot be reached"
            assert waiting.etl.row_count == 3
        job = end(staff, id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED, job
    assert not job.HasField("failure") and job.training.promoted


def test_a_training_that_mlflow_was_away_from_for_too_long_says_so(
    staff: Staff, submitted: Callable[..., str], worker: Workers, mlflow: Mlflow
) -> None:
    id = submitted()
    with mlflow.stopped():
        with worker():
            wait(staff, id, lambda job: job.HasField("next_attempt_time"))
        with worker(job_seconds=0):
            job = end(staff, id)
    assert (job.state, job.failure.reason) == (jobs_pb2.JOB_STATE_FAILED, "ENGINE_UNAVAILABLE"), job
    assert job.failure.message == "MLflow cannot be reached, for longer than the 0:00:00 that the job may take"
    assert job.etl.row_count == 3


def test_a_training_that_is_cancelled_after_its_promotion_has_succeeded_and_nothing_was_left_to_do(
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
            wait(staff, id, lambda _: promoted(mlflow))
            staff.cancel(id)
            job = end(staff, id)
            assert not at_work(id)
    finally:
        pipeline.write_text(text)
    assert (job.state, job.training.promoted) == (jobs_pb2.JOB_STATE_SUCCEEDED, True), job
    assert champion(mlflow) == job.training.model_version
    assert dict(job.training.metrics) == {"test.score": 0.9, "test.baseline.score": 0.5}
    data = MlflowClient(mlflow.url).get_run(job.training.run_id).data.tags["dvc_revision"]
    assert minio.client("training").stat_object("dvc", f"files/md5/{data[:2]}/{data[2:]}")


def test_a_training_that_was_killed_is_tried_again(staff: Staff, submitted: Callable[..., str], worker: Workers) -> None:
    id = submitted()
    with worker():
        wait(staff, id, lambda job: bool(job.stage) and bool(at_work(id)))
        for process in at_work(id):
            process.kill()
        waiting = wait(staff, id, lambda job: job.HasField("next_attempt_time"))
        assert waiting.failure.reason == "APPLICATION_FAILED"
        job = end(staff, id)
    assert (job.state, job.attempt_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 2), job


def test_a_training_with_a_fault_of_its_own_fails_and_is_not_tried_again(
    staff: Staff, submitted: Callable[..., str], worker: Workers, workspace: Workspace
) -> None:
    workspace.set(recommender={**RECIPES, "full": {}})
    try:
        id = submitted()
        with worker():
            job = end(staff, id)
    finally:
        workspace.set(recommender=RECIPES)
    assert (job.state, job.failure.reason, job.attempt_count) == (jobs_pb2.JOB_STATE_FAILED, "APPLICATION_FAILED", 1)
    assert job.etl.row_count == 3
    assert any("KeyError: 'quality'" in line.text for line in staff.lines(id, page_size=5000).log_lines)
