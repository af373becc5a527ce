"""The RPCs of the jobs service."""

from collections.abc import AsyncIterator
from datetime import date

import grpc.aio
from google.protobuf.message import Message

from hashiramart.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from mesh.errors import InvalidArgument
from mesh.idempotency import idempotent_request
from mesh.identity import caller
from mesh.paging import PageTokens, page_size
from services.jobs.domain import Job, Kind, Order
from services.jobs.feed import JobFeed
from services.jobs.messages import job_message, kind, line_message, states
from services.jobs.repository import JobRepository

Context = grpc.aio.ServicerContext[Message, Message]


class JobsServicer(jobs_pb2_grpc.JobsServiceServicer):
    """Takes jobs in and tells what becomes of them; workers carry them out."""

    def __init__(self, jobs: JobRepository, feed: JobFeed, page_tokens: PageTokens) -> None:
        self._jobs = jobs
        self._feed = feed
        self._page_tokens = page_tokens

    async def SubmitEtlJob(self, request: jobs_pb2.SubmitEtlJobRequest, context: Context) -> jobs_pb2.Job:
        _check_date(request.through_date)
        order = Order(Kind.ETL, "", "", request.through_date, request.full, caller().subject)
        return job_message(await self._jobs.submit(order, idempotent_request(request)))

    async def SubmitTrainingJob(self, request: jobs_pb2.SubmitTrainingJobRequest, context: Context) -> jobs_pb2.Job:
        _check_date(request.through_date)
        order = Order(Kind.TRAINING, request.model, request.recipe or _DEFAULT_RECIPE, request.through_date, False, caller().subject)
        return job_message(await self._jobs.submit(order, idempotent_request(request)))

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        return job_message(await self._jobs.get(request.id))

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        after, size = self._page_tokens.read(request), page_size(request.page_size)
        jobs = await self._jobs.page(kind(request.kind), states(request.states), after, size + 1)
        page, more = jobs[:size], len(jobs) > size
        return jobs_pb2.ListJobsResponse(
            jobs=map(job_message, page),
            next_page_token=self._page_tokens.write(request, (page[-1].create_time, page[-1].id)) if more else "",
        )

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Context) -> jobs_pb2.Job:
        return job_message(await self._jobs.cancel(request.id))

    async def WatchJob(self, request: jobs_pb2.WatchJobRequest, context: Context) -> AsyncIterator[jobs_pb2.JobEvent]:
        async for told in self._feed.follow(request.id, request.after_log_line):
            if isinstance(told, Job):
                yield jobs_pb2.JobEvent(job=job_message(told))
            else:
                yield jobs_pb2.JobEvent(log_line=line_message(told))

    async def ListJobLogLines(self, request: jobs_pb2.ListJobLogLinesRequest, context: Context) -> jobs_pb2.ListJobLogLinesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size, _DEFAULT_LINES, _MAX_LINES)
        after = int(str(place[0])) if place else 0
        # The job before its lines: all of them are there before it has ended.
        job = await self._jobs.get(request.id)
        lines = await self._jobs.lines(request.id, after, size + 1)
        page, more = lines[:size], len(lines) > size or not job.ended
        return jobs_pb2.ListJobLogLinesResponse(
            log_lines=map(line_message, page),
            next_page_token=self._page_tokens.write(request, (page[-1].number if page else after,)) if more else "",
        )


_DEFAULT_RECIPE = "full"
_DEFAULT_LINES = 500
_MAX_LINES = 5000


def _check_date(text: str) -> None:
    """Raises `InvalidArgument` for a day that no calendar has; the contract sees to the form."""
    try:
        if text:
            date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"there is no day {text}", field="through_date") from None
