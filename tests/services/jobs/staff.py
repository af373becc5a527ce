"""A caller of the jobs service."""

import time
from collections.abc import Callable, Iterator

from hashiramart.jobs.v1 import jobs_pb2
from hashiramart.jobs.v1.jobs_pb2_grpc import JobsServiceStub
from hashiramart.model.v1 import model_pb2

Metadata = tuple[tuple[str, str], ...]

LIVE = (jobs_pb2.JOB_STATE_QUEUED, jobs_pb2.JOB_STATE_RUNNING, jobs_pb2.JOB_STATE_CANCELLING)
# Far longer than a job takes on a busy machine.
WAIT_SECONDS = 600
POLL_SECONDS = 0.1


class Staff:
    """Calls the jobs service as one caller."""

    def __init__(self, stub: JobsServiceStub, prove: Callable[[], Metadata]) -> None:
        self.stub = stub
        self._prove = prove

    @property
    def metadata(self) -> Metadata:
        # A token expires before the tests of a module end.
        return self._prove()

    def submit(self, through_date: str = "", *, full: bool = False, request_id: str = "") -> jobs_pb2.Job:
        request = jobs_pb2.SubmitEtlJobRequest(through_date=through_date, full=full, request_id=request_id)
        return self.stub.SubmitEtlJob(request, metadata=self.metadata, timeout=10)

    def submit_training(
        self,
        model: model_pb2.ModelKind.ValueType = model_pb2.MODEL_KIND_RECOMMENDER,
        recipe: model_pb2.Recipe.ValueType = model_pb2.RECIPE_UNSPECIFIED,
        *,
        through_date: str = "",
        request_id: str = "",
    ) -> jobs_pb2.Job:
        request = jobs_pb2.SubmitTrainingJobRequest(model=model, recipe=recipe, through_date=through_date, request_id=request_id)
        return self.stub.SubmitTrainingJob(request, metadata=self.metadata, timeout=10)

    def get(self, id: str) -> jobs_pb2.Job:
        return self.stub.GetJob(jobs_pb2.GetJobRequest(id=id), metadata=self.metadata, timeout=10)

    def cancel(self, id: str) -> jobs_pb2.Job:
        return self.stub.CancelJob(jobs_pb2.CancelJobRequest(id=id), metadata=self.metadata, timeout=10)

    def page(self, **arguments: object) -> jobs_pb2.ListJobsResponse:
        return self.stub.ListJobs(jobs_pb2.ListJobsRequest(**arguments), metadata=self.metadata, timeout=10)  # type: ignore[arg-type]

    def lines(self, id: str, page_size: int = 0, page_token: str = "", after_number: int = 0) -> jobs_pb2.ListJobLogLinesResponse:
        request = jobs_pb2.ListJobLogLinesRequest(id=id, page_size=page_size, page_token=page_token, after_number=after_number)
        return self.stub.ListJobLogLines(request, metadata=self.metadata, timeout=10)

    def wait(self, id: str, condition: Callable[[jobs_pb2.Job], bool]) -> jobs_pb2.Job:
        """The job, as soon as it meets the condition."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition(job := self.get(id)):
            assert time.monotonic() < deadline, job
            assert job.state in LIVE, job
            time.sleep(POLL_SECONDS)
        return job

    def wait_for_end(self, id: str) -> jobs_pb2.Job:
        """The job, as soon as it has ended."""
        return self.wait(id, lambda job: job.state not in LIVE)

    def watch(self, id: str, after_number: int = 0, timeout: float = 30) -> Iterator[jobs_pb2.JobEvent]:
        request = jobs_pb2.WatchJobRequest(id=id, after_number=after_number)
        return self.stub.WatchJob(request, metadata=self.metadata, timeout=timeout)
