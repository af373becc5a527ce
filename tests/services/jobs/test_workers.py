"""Workers carry out jobs on real engines, whichever of them dies on the way."""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc.aio
import httpx
import pyarrow.parquet as pq
import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.jobs.v1 import jobs_pb2
from lake.landing.landing import land
from mesh import channel
from mesh.identity import RemoteKeys
from mesh.settings import MeshSettings
from tests.engines.hadoop import Hdfs, Yarn
from tests.engines.ports import free_port
from tests.engines.postgres import Postgres
from tests.engines.stores import Minio
from tests.loops import Loop
from tests.services.auth.processes import Auth
from tests.services.database import migrate_services
from tests.services.jobs.recorder import Recorder
from tests.services.jobs.replica import JobsReplica
from tests.services.jobs.staff import WAIT_SECONDS, Staff
from tests.services.jobs.workers import WorkerProcess
from tests.spark.shop import HEADER, TODAY, line

JOBS_SECRET = "the jobs' own secret, 100% long enough"


@pytest.fixture(scope="module")
def raw_root(hdfs: Hdfs, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A raw zone with eleven lines, one of them invalid."""
    file = tmp_path_factory.mktemp("raw") / "sales.csv"
    file.write_text("\n".join([HEADER, *(line(time=f"2011-02-{day:02} 10:00:00") for day in range(1, 11)), line(price=0)]))
    root = "/hashiramart/raw-of-jobs"
    land(file, f"webhdfs://hashiramart@127.0.0.1:{hdfs.settings.namenode_port}{root}", TODAY, lambda *_: None)
    return f"hdfs://{root}"


@pytest.fixture
def worker(tmp_path: Path, database_url: str, yarn: Yarn, minio: Minio, raw_root: str) -> Callable[..., WorkerProcess]:
    """Makes workers: `with worker(): ...`; other settings are keyword arguments."""
    return partial(WorkerProcess, tmp_path, database_url, yarn.settings, minio, raw_root=raw_root)


@pytest.fixture
def auth(postgres: Postgres, tmp_path: Path) -> Iterator[Auth]:
    """The auth service, which issues the worker's tokens."""
    users = migrate_services(postgres.create_database(), "auth")["auth"]
    with Auth(tmp_path, users, AUTH_SERVICE_SECRETS=json.dumps({"jobs": JOBS_SECRET})) as auth:
        yield auth


@pytest.fixture
def recorder(loop: Loop, mesh_settings: MeshSettings, auth: Auth) -> Iterator[Recorder]:
    """The recommender from which the worker exports events."""

    async def connected() -> grpc.aio.Channel:
        return channel.connect(auth.address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh_settings)

    to_auth = loop.run(connected())
    # It implements one method of the contract.
    with Recorder(loop, mesh_settings, RemoteKeys(to_auth)) as recorder:  # type: ignore[abstract]
        yield recorder
    loop.run(to_auth.close())


@pytest.fixture(autouse=True)
def _no_leftover_jobs(replica: JobsReplica) -> Iterator[None]:
    yield
    replica.end_all()


def applications(yarn: Yarn, id: str) -> list[str]:
    """The states of all applications that were ever submitted for a job."""
    url = f"http://127.0.0.1:{yarn.settings.resourcemanager_port}/ws/v1/cluster/apps"
    found = httpx.get(url, params={"applicationTags": f"hashiramart-job-{id}"}).raise_for_status().json()["apps"]
    return [application["state"] for application in (found or {}).get("app", ())]


def test_a_job_submitted_twenty_times_and_dropped_by_its_first_worker_is_done_once(
    staff: Staff, replica: JobsReplica, worker: Callable[..., WorkerProcess], yarn: Yarn, minio: Minio
) -> None:
    with ThreadPoolExecutor(20) as callers:
        [id] = {job.id for job in callers.map(lambda _: staff.submit(request_id="once"), range(20))}
    # A worker was killed between the claim and the submission.
    claimed = replica.claim("killed")
    assert claimed is not None
    replica.expire(claimed, "killed")
    with worker() as running:
        events = list(staff.watch(id, timeout=WAIT_SECONDS))
        assert minio.store.keys["spark"][1] not in running.log
    job = staff.get(id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED_WITH_REJECTS, job
    assert (job.etl_result.row_count, job.etl_result.sale_count, job.etl_result.published, job.attempt_count) == (11, 10, True, 1)
    assert [(reject.reason, reject.line_count) for reject in job.etl_result.rejects] == [("price", 1)]
    assert applications(yarn, id) == ["FINISHED"]

    seen = {event.job.stage for event in events if event.HasField("job")}
    assert {"submitting", "waiting for YARN"} < seen and len(seen) > 4
    lines = [event.log_line for event in events if event.HasField("log_line")]
    assert {line.source for line in lines} == {"worker", "driver", "executor 1"}
    assert [line.number for line in lines] == [*range(1, len(lines) + 1)]
    assert any("succeeded" in line.text for line in lines if line.source == "driver")
    assert not any(secret in line.text for line in lines for _, secret in minio.store.keys.values())
    assert [line.number for line in staff.lines(id, page_size=5000).log_lines] == [line.number for line in lines]


def test_a_job_whose_worker_is_killed_while_it_submits_runs_one_application(
    staff: Staff, worker: Callable[..., WorkerProcess], yarn: Yarn
) -> None:
    id = staff.submit().id
    # The next worker submits again only after this time, when nothing of the first can submit any more.
    with worker(submit_seconds=15) as first:
        staff.wait(id, lambda _: first.is_submitting)
        first.kill()
    with worker():
        job = staff.wait_for_end(id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED_WITH_REJECTS, job
    assert job.attempt_count == 1
    assert applications(yarn, id) == ["FINISHED"]


def test_a_job_survives_its_worker_yarn_and_the_database(
    staff: Staff, worker: Callable[..., WorkerProcess], yarn: Yarn, postgres: Postgres
) -> None:
    id = staff.submit(full=True).id
    with worker() as first:
        # The driver runs and has registered; an application whose driver is still starting would be lost with its NodeManager.
        running = staff.wait(id, lambda job: bool(job.application_id) and applications(yarn, id) == ["RUNNING"])
        first.kill()
    yarn.resourcemanager.kill()
    yarn.nodemanager.kill()
    with worker():
        with postgres.stopped():
            yarn.resourcemanager.start()
            yarn.nodemanager.start()
        job = staff.wait_for_end(id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED_WITH_REJECTS, job
    assert (job.application_id, job.attempt_count) == (running.application_id, 1)
    assert applications(yarn, id) == ["FINISHED"]
    lines = staff.lines(id, page_size=5000).log_lines
    # No line is duplicated, though two workers have read the log. YARN itself may have restarted the driver.
    starts = [line.text for line in lines if "Registering signal handler for TERM" in line.text and line.source == "driver"]
    assert starts and len(starts) == len({*starts})


def test_a_cancelled_job_has_its_application_killed(staff: Staff, worker: Callable[..., WorkerProcess], yarn: Yarn) -> None:
    id = staff.submit().id
    with worker():
        staff.wait(id, lambda job: bool(job.application_id))
        assert staff.cancel(id).state == jobs_pb2.JOB_STATE_CANCELLING
        assert staff.wait_for_end(id).state == jobs_pb2.JOB_STATE_CANCELLED
    assert applications(yarn, id) == ["KILLED"]
    # The worker does not wait for a log that the application did not live to write.
    assert not any("is lost" in line.text for line in staff.lines(id, page_size=5000).log_lines)


def test_a_job_cancelled_while_it_is_submitted_leaves_nothing_behind(
    staff: Staff, worker: Callable[..., WorkerProcess], yarn: Yarn
) -> None:
    id = staff.submit().id
    with worker():
        staff.wait(id, lambda job: job.stage == "submitting")
        staff.cancel(id)
        assert staff.wait_for_end(id).state == jobs_pb2.JOB_STATE_CANCELLED
    assert applications(yarn, id) in ([], ["KILLED"])


def test_an_error_of_the_data_is_reported_and_not_retried(staff: Staff, worker: Callable[..., WorkerProcess], yarn: Yarn) -> None:
    id = staff.submit().id
    with worker(raw_root="hdfs:///hashiramart/nothing"):
        job = staff.wait_for_end(id)
    assert (job.state, job.failure.reason, job.attempt_count) == (jobs_pb2.JOB_STATE_FAILED, "NO_RAW_DATA", 1)
    assert "hdfs:///hashiramart/nothing" in job.failure.message
    assert applications(yarn, id) == ["FINISHED"]


def test_a_job_that_takes_too_long_is_killed(staff: Staff, worker: Callable[..., WorkerProcess], yarn: Yarn) -> None:
    id = staff.submit().id
    with worker(job_seconds=5):
        job = staff.wait_for_end(id)
    assert (job.state, job.failure.reason) == (jobs_pb2.JOB_STATE_FAILED, "JOB_TIMED_OUT")
    assert applications(yarn, id) in ([], ["KILLED"])


def test_while_yarn_is_unavailable_a_job_waits_says_why_and_fails_after_its_last_attempt(
    staff: Staff, worker: Callable[..., WorkerProcess]
) -> None:
    id = staff.submit().id
    with worker(yarn_url=f"http://127.0.0.1:{free_port()}", attempts=3):
        waiting = staff.wait(id, lambda job: job.HasField("next_attempt_time"))
        assert (waiting.state, waiting.failure.reason) == (jobs_pb2.JOB_STATE_QUEUED, "ENGINE_UNAVAILABLE")
        assert waiting.failure.message == "YARN cannot be reached"
        job = staff.wait_for_end(id)
    assert (job.state, job.failure.reason, job.attempt_count) == (jobs_pb2.JOB_STATE_FAILED, "ENGINE_UNAVAILABLE", 3)


def test_recorded_events_are_in_the_data_of_the_next_etl(
    staff: Staff, worker: Callable[..., WorkerProcess], recorder: Recorder, auth: Auth, minio: Minio
) -> None:
    recorder.buy("a", "b", customer_number="12345")
    id = staff.submit().id
    with worker(
        recommender_address=recorder.address, service_secret=JOBS_SECRET, environment={"MESH_AUTH_ADDRESS": auth.address}
    ) as running:
        assert staff.wait_for_end(id).etl_result.published
        assert JOBS_SECRET not in running.log
    assert "2 recorded events were added to the raw zone" in [line.text for line in staff.lines(id, page_size=5000).log_lines]
    lake = minio.client("spark")
    with lake.get_object("lake", "clean/_MANIFEST.json") as answer:
        manifest = json.loads(answer.read())
    assert (len(manifest["events"]["files"]), manifest["events"]["months"]) == (1, ["2011-02"])
    [february] = [month for month in manifest["months"] if month["month"] == "2011-02"]
    rows = []
    for file in february["tables"]["interactions"]["files"]:
        with lake.get_object("lake", file["key"]) as answer:
            rows += pq.read_table(io.BytesIO(answer.read())).to_pylist()
    assert [(row["customer_number"], row["quantity"]) for row in rows if row["product_id"] == "20002"] == [("12345", 4)]
