"""Jobs and the rules of their life cycle."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from mesh.errors import FailedPrecondition


class JobKind(StrEnum):
    """What a job does."""

    ETL = "etl"
    TRAINING = "training"


class JobState(StrEnum):
    """How far a job has come."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_REJECTS = "succeeded_with_rejects"
    FAILED = "failed"
    CANCELLED = "cancelled"


# The states in which a worker holds the job.
HELD = frozenset((JobState.RUNNING, JobState.CANCELLING))
ENDED = frozenset((JobState.SUCCEEDED, JobState.SUCCEEDED_WITH_REJECTS, JobState.FAILED, JobState.CANCELLED))

# The stages of an attempt that has not reached its engines yet.
SUBMITTING, STARTING_TRAINING = "submitting", "starting training"

# From here on every wait has reached its limit.
_MAX_DOUBLINGS = 20


class JobSpec(NamedTuple):
    """What a job is to do."""

    kind: JobKind
    model: str
    """The model to train; empty for an ETL."""
    recipe: str
    """The recipe of a training; empty for an ETL."""
    through_date: str
    """The last day whose recorded events are included, `YYYY-MM-DD`; empty means the last day of the sales files."""
    full: bool
    """Whether the ETL cleans every month, not only those that new files affect."""
    submitted_by: str
    """A user's id or a service's name."""
    schedule_id: str = ""
    """The schedule whose run it is; empty for none."""
    due_time: datetime | None = None
    """When the run was due; None if it was not due."""


class Failure(NamedTuple):
    """Why a job, or one attempt of it, failed."""

    reason: str
    """One of the contract's `ErrorReason`s."""
    message: str


class Job(NamedTuple):
    """A job: its spec, and its state after the latest change."""

    id: str
    kind: JobKind
    model: str
    recipe: str
    through_date: str
    full: bool
    submitted_by: str
    schedule_id: str
    due_time: datetime | None
    state: JobState
    stage: str
    done_count: int
    total_count: int
    application_id: str
    """The YARN application of the latest ETL attempt; empty until YARN has saved it."""
    attempt_count: int
    failure_reason: str
    failure_message: str
    etl: Mapping[str, object] | None
    """The result of the ETL, with the fields of the contract's `EtlResult`."""
    training: Mapping[str, object] | None
    """The result of the training, with the fields of the contract's `TrainingResult`."""
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    next_attempt_time: datetime | None
    submitter: str
    """The holder that submits this attempt's application; empty until one is about to."""
    submit_deadline: datetime | None
    """When the submitter's spark-submit process is killed at the latest."""
    version: int

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def tag(self) -> str:
        """The YARN tag of all of the job's applications."""
        return f"hashiramart-job-{self.id}"

    @property
    def attempt_tag(self) -> str:
        """The YARN tag of this attempt's application."""
        return f"{self.tag}-{self.attempt_count}"

    @property
    def lacks_engine(self) -> bool:
        """Whether the last attempt failed because an engine was unavailable, and the current one, if any, has not got further."""
        return self.failure_reason == "ENGINE_UNAVAILABLE" and self.stage in ("", SUBMITTING, STARTING_TRAINING)

    def cancel(self, now: datetime) -> Self:
        """Cancels the job: at once, unless a worker holds it and has to stop first. Nothing changes if that was done before.

        Raises `FailedPrecondition` if it has ended otherwise.
        """
        if self.state in (JobState.CANCELLING, JobState.CANCELLED):
            return self
        if self.has_ended:
            raise FailedPrecondition("JOB_ENDED", "job '{id}' has already ended: {state}", id=self.id, state=self.state)
        return self._replace(state=JobState.CANCELLING) if self.state in HELD else self.end(JobState.CANCELLED, now)

    def fail(self, failure: Failure, now: datetime) -> Self:
        """Fails the job for good."""
        return self.end(JobState.FAILED, now)._replace(failure_reason=failure.reason, failure_message=failure.message)

    def complete_etl(self, result: Mapping[str, object], now: datetime) -> Self:
        """Records the result of the ETL; an ETL job has succeeded, a training job goes on to train."""
        job = self._replace(etl=result, stage="", done_count=0, total_count=0, failure_reason="", failure_message="")
        return job.succeed(now) if self.kind is JobKind.ETL else job

    def complete_training(self, result: Mapping[str, object], now: datetime) -> Self:
        """Records the result of a training whose model was promoted, or waits for its lists in shadow."""
        return self._replace(training=result, failure_reason="", failure_message="").succeed(now)

    def reject_model(self, result: Mapping[str, object], message: str, now: datetime) -> Self:
        """Records the result of a training whose model did not pass the gate."""
        return self._replace(training=result).fail(Failure("MODEL_REFUSED_BY_GATE", message), now)

    def succeed(self, now: datetime) -> Self:
        has_rejects = self.etl and self.etl.get("rejects")
        return self.end(JobState.SUCCEEDED_WITH_REJECTS if has_rejects else JobState.SUCCEEDED, now)

    def end(self, state: JobState, now: datetime) -> Self:
        return self._replace(state=state, stage="", end_time=now, next_attempt_time=None)


class RetryPolicy(NamedTuple):
    """How often a job is attempted, how long it waits in between, and how long it may take."""

    max_attempts: int
    first_wait: timedelta
    """The wait before the second attempt; each further wait is twice as long."""
    longest_wait: timedelta
    timeout: timedelta
    """How long all attempts may take together, the waits included."""

    def must_stop(self, job: Job, now: datetime) -> bool:
        """Whether the job was cancelled or has timed out."""
        return job.state is JobState.CANCELLING or self.has_timed_out(job, now)

    def has_timed_out(self, job: Job, now: datetime) -> bool:
        return job.start_time is not None and now > job.start_time + self.timeout

    def stop(self, job: Job, now: datetime) -> Job:
        """Ends a job that must stop, once its work has stopped."""
        if job.state is JobState.CANCELLING:
            return job.end(JobState.CANCELLED, now)
        if job.lacks_engine:
            message = f"{job.failure_message}, for longer than the {self.timeout} that the job may take"
            return job.fail(Failure("ENGINE_UNAVAILABLE", message), now)
        return job.fail(Failure("JOB_TIMED_OUT", f"the job took longer than {self.timeout}"), now)

    def retry(self, job: Job, failure: Failure, now: datetime) -> Job:
        """Queues the job for its next attempt; fails it if this was the last."""
        return job.fail(failure, now) if job.attempt_count >= self.max_attempts else self.postpone(job, failure, now)

    def postpone(self, job: Job, failure: Failure, now: datetime) -> Job:
        """Queues the job for its next attempt, however many there were."""
        wait = min(self.first_wait * 2 ** min(job.attempt_count - 1, _MAX_DOUBLINGS), self.longest_wait)
        queued = job._replace(state=JobState.QUEUED, stage="", done_count=0, total_count=0, next_attempt_time=now + wait)
        return queued._replace(failure_reason=failure.reason, failure_message=failure.message)


class LogLine(NamedTuple):
    """A line of a job's log."""

    number: int
    time: datetime
    source: str
    text: str
