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
from services.jobs.domain import Job
from services.jobs.feed import JobFeed
from services.jobs.logs import LogRepository
from services.jobs.messages import etl_spec, job_kind, job_message, job_states, line_message, training_spec
from services.jobs.repository import JobRepository

Context = grpc.aio.ServicerContext[Message, Message]

DEFAULT_LINES_PAGE_SIZE = 500
MAX_LINES_PAGE_SIZE = 5000


class JobsServicer(jobs_pb2_grpc.JobsServiceServicer):
    """Queues jobs and reports on them; workers carry them out."""

    def __init__(self, jobs: JobRepository, logs: LogRepository, feed: JobFeed, page_tokens: PageTokens, time_zone: str) -> None:
        """time_zone: of the days of jobs, an IANA name"""
        self._jobs = jobs
        self._logs = logs
        self._feed = feed
        self._page_tokens = page_tokens
        self._time_zone = time_zone

    async def SubmitEtlJob(self, request: jobs_pb2.SubmitEtlJobRequest, context: Context) -> jobs_pb2.Job:
        _check_date(request.through_date)
        return self._message(await self._jobs.submit(etl_spec(request, caller().subject), idempotent_request(request)))

    async def SubmitTrainingJob(self, request: jobs_pb2.SubmitTrainingJobRequest, context: Context) -> jobs_pb2.Job:
        _check_date(request.through_date)
        return self._message(await self._jobs.submit(training_spec(request, caller().subject), idempotent_request(request)))

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        return self._message(await self._jobs.get(request.id))

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        after, size = self._page_tokens.read(request), page_size(request.page_size)
        jobs = await self._jobs.list_jobs(job_kind(request.kind), job_states(request.states), request.schedule_id, after, size + 1)
        page, has_more = jobs[:size], len(jobs) > size
        return jobs_pb2.ListJobsResponse(
            jobs=map(self._message, page),
            next_page_token=self._page_tokens.write(request, (page[-1].create_time, page[-1].id)) if has_more else "",
        )

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Context) -> jobs_pb2.Job:
        return self._message(await self._jobs.cancel(request.id))

    async def WatchJob(self, request: jobs_pb2.WatchJobRequest, context: Context) -> AsyncIterator[jobs_pb2.JobEvent]:
        async for change in self._feed.follow(request.id, request.after_number):
            if isinstance(change, Job):
                yield jobs_pb2.JobEvent(job=self._message(change))
            else:
                yield jobs_pb2.JobEvent(log_line=line_message(change))

    async def ListJobLogLines(self, request: jobs_pb2.ListJobLogLinesRequest, context: Context) -> jobs_pb2.ListJobLogLinesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size, DEFAULT_LINES_PAGE_SIZE, MAX_LINES_PAGE_SIZE)
        after = int(str(place[0])) if place else request.after_number
        # Raises if there is no such job.
        await self._jobs.get(request.id)
        lines = await self._logs.list_lines(request.id, after, size + 1)
        page, has_more = lines[:size], len(lines) > size
        return jobs_pb2.ListJobLogLinesResponse(
            log_lines=map(line_message, page),
            next_page_token=self._page_tokens.write(request, (page[-1].number,)) if has_more else "",
        )

    def _message(self, job: Job) -> jobs_pb2.Job:
        return job_message(job, self._time_zone)


def _check_date(text: str) -> None:
    """Raises `InvalidArgument` for a date that does not exist. The contract checks the format."""
    try:
        if text:
            date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument("the date {date} does not exist", field="through_date", date=text) from None
