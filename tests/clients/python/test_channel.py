"""Channels: retries, request ids, deadlines and TLS."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from hashiramart.jobs.v1.jobs_pb2 import GetJobRequest, Job, JobEvent, SubmitEtlJobRequest, WatchJobRequest
from hashiramart.jobs.v1.jobs_pb2_grpc import JobsServiceServicer, JobsServiceStub, add_JobsServiceServicer_to_server
from hashiramart_client import Tls, aio, open_channel
from mesh.certificates import issue


class RestartingJobs(JobsServiceServicer):
    """Is unavailable for the first call of each method, as a service that restarts."""

    def __init__(self) -> None:
        self.request_ids: list[str] = []
        self.seconds_left: list[float | None] = []
        self._calls: set[str] = set()
        self._lock = threading.Lock()

    def SubmitEtlJob(self, request: SubmitEtlJobRequest, context: Any) -> Job:  # noqa: N802 the contract's name
        self.request_ids.append(request.request_id)
        self.seconds_left.append(context.time_remaining())
        self._serve("submit", context)
        return Job(id="a")

    def GetJob(self, request: GetJobRequest, context: Any) -> Job:  # noqa: N802 the contract's name
        self.seconds_left.append(context.time_remaining())
        self._serve("get", context)
        return Job(id=request.id)

    def WatchJob(self, request: WatchJobRequest, context: Any) -> Iterator[JobEvent]:  # noqa: N802 the contract's name
        self.seconds_left.append(context.time_remaining())
        self._serve("watch", context)
        yield JobEvent(job=Job(id=request.id))

    def _serve(self, method: str, context: Any) -> None:
        with self._lock:
            is_first = method not in self._calls
            self._calls.add(method)
        if is_first:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")


@contextmanager
def serving(jobs: RestartingJobs, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    """Serves it; yields its address."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_JobsServiceServicer_to_server(jobs, server)
    port = server.add_secure_port("localhost:0", credentials) if credentials else server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture
def jobs() -> RestartingJobs:
    return RestartingJobs()  # type: ignore[abstract]  # these tests call three of its methods


def test_a_read_is_retried_while_a_service_restarts(jobs: RestartingJobs) -> None:
    with serving(jobs) as address, open_channel(address) as channel:
        assert JobsServiceStub(channel).GetJob(GetJobRequest(id="a")).id == "a"
        assert [event.job.id for event in JobsServiceStub(channel).WatchJob(WatchJobRequest(id="b"))] == ["b"]


def test_a_write_is_retried_with_the_request_id_of_the_first_try(jobs: RestartingJobs) -> None:
    request = SubmitEtlJobRequest()
    with serving(jobs) as address, open_channel(address) as channel:
        JobsServiceStub(channel).SubmitEtlJob(request)
        JobsServiceStub(channel).SubmitEtlJob(SubmitEtlJobRequest(request_id="mine"))
    first, second, third = jobs.request_ids
    assert first == second != ""
    assert third == "mine"
    assert request.request_id == ""


async def test_the_same_with_asyncio(jobs: RestartingJobs) -> None:
    with serving(jobs) as address:
        async with aio.open_channel(address) as channel:
            stub: Any = JobsServiceStub(channel)
            await stub.SubmitEtlJob(SubmitEtlJobRequest())
            assert [event.job.id async for event in stub.WatchJob(WatchJobRequest(id="b"))] == ["b"]
    assert len(set(jobs.request_ids)) == 1


def test_a_call_has_a_deadline_and_a_stream_that_of_its_caller(jobs: RestartingJobs) -> None:
    with serving(jobs) as address, open_channel(address) as channel:
        stub = JobsServiceStub(channel)
        stub.GetJob(GetJobRequest(id="a"))
        stub.GetJob(GetJobRequest(id="a"), timeout=3)
        list(stub.WatchJob(WatchJobRequest(id="a")))
    _, default, own, *streams = jobs.seconds_left
    assert default is not None and own is not None
    assert 3 < default < 11
    assert own < 4
    assert all(seconds is None or seconds > 1000 for seconds in streams)


def test_tls_proves_both_sides(jobs: RestartingJobs, tmp_path: Path) -> None:
    issue(tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in ("jobs.key", "jobs.crt", "ca.crt")}
    credentials = grpc.ssl_server_credentials([(files["jobs.key"], files["jobs.crt"])], files["ca.crt"], require_client_auth=True)
    own = Tls(tmp_path / "ca.crt", tmp_path / "gateway.crt", tmp_path / "gateway.key")
    with serving(jobs, credentials) as address:
        with open_channel(address, tls=own) as channel:
            assert JobsServiceStub(channel).GetJob(GetJobRequest(id="a")).id == "a"
        for tls in (Tls(tmp_path / "ca.crt"), Tls(), None):
            with open_channel(address, tls=tls) as channel, pytest.raises(grpc.RpcError):
                JobsServiceStub(channel).GetJob(GetJobRequest(id="a"))
