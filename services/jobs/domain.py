"""Jobs and their rules."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from mesh.errors import FailedPrecondition


class Kind(StrEnum):
    """What kind of job it is."""

    ETL = "etl"
    TRAINING = "training"


class State(StrEnum):
    """How far a job has come."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_REJECTS = "succeeded_with_rejects"
    FAILED = "failed"
    CANCELLED = "cancelled"


# A worker holds the job.
HELD = frozenset((State.RUNNING, State.CANCELLING))
ENDED = frozenset((State.SUCCEEDED, State.SUCCEEDED_WITH_REJECTS, State.FAILED, State.CANCELLED))


class Order(NamedTuple):
    """What is asked for."""

    kind: Kind
    # Of a training: which model, and by which recipe. Else empty.
    model: str
    recipe: str
    # `YYYY-MM-DD`, or empty for the last day of the sales files.
    through_date: str
    full: bool
    submitted_by: str


# What a try is at before it has found its engines.
SUBMITTING, STARTING_TO_TRAIN = "submitting", "starting to train"


class Failure(NamedTuple):
    """Why a job, or one try of it, failed: one of the contract's reasons, and a sentence."""

    reason: str
    message: str


class Job(NamedTuple):
    """A job as its last change left it."""

    id: str
    kind: Kind
    model: str
    recipe: str
    through_date: str
    full: bool
    submitted_by: str
    state: State
    stage: str
    done_count: int
    total_count: int
    # Of the last try of the ETL.
    application_id: str
    attempt_count: int
    failure_reason: str
    failure_message: str
    # What the ETL found, and what the training came to, in the contract's words.
    etl: Mapping[str, object] | None
    training: Mapping[str, object] | None
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    next_attempt_time: datetime | None
    # Who set out to submit this try's application, and until when a program that does so may live. Nobody, before that.
    submitter: str
    submit_deadline: datetime | None
    version: int

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def tag(self) -> str:
        """What YARN knows the job's applications by."""
        return f"hashiramart-job-{self.id}"

    @property
    def attempt_tag(self) -> str:
        """What YARN knows the application of this try by."""
        return f"{self.tag}-{self.attempt_count}"

    @property
    def lacks_engine(self) -> bool:
        """Whether the last try ended for want of an engine, and the one now, if there is one, has come no further."""
        return self.failure_reason == "ENGINE_UNAVAILABLE" and self.stage in ("", SUBMITTING, STARTING_TO_TRAIN)

    def cancelled(self, now: datetime) -> Self:
        """The job, asked to stop: it has ended if nobody works on it. Raises `FailedPrecondition` if it had before."""
        if self.ended:
            raise FailedPrecondition("JOB_ENDED", f"job '{self.id}' has already ended")
        return self._replace(state=State.CANCELLING) if self.state in HELD else self.at_end(State.CANCELLED, now)

    def failed(self, failure: Failure, now: datetime) -> Self:
        """The job, failed for good."""
        return self.at_end(State.FAILED, now)._replace(failure_reason=failure.reason, failure_message=failure.message)

    def cleaned(self, etl: Mapping[str, object], now: datetime) -> Self:
        """The job after its ETL: done, or about to train."""
        job = self._replace(etl=etl, stage="", done_count=0, total_count=0, failure_reason="", failure_message="")
        return job.succeeded(now) if self.kind is Kind.ETL else job

    def trained(self, training: Mapping[str, object], now: datetime) -> Self:
        """The job, done, its model promoted."""
        return self._replace(training=training, failure_reason="", failure_message="").succeeded(now)

    def refused(self, training: Mapping[str, object], message: str, now: datetime) -> Self:
        """The job, its model refused by the gate."""
        return self._replace(training=training).failed(Failure("MODEL_REFUSED_BY_GATE", message), now)

    def succeeded(self, now: datetime) -> Self:
        return self.at_end(State.SUCCEEDED_WITH_REJECTS if self.etl and self.etl.get("rejects") else State.SUCCEEDED, now)

    def at_end(self, state: State, now: datetime) -> Self:
        return self._replace(state=state, stage="", end_time=now, next_attempt_time=None)


class Limits(NamedTuple):
    """How often a job is tried, after how long again, which is twice as long each time to a limit, and how long it may take in all."""

    attempts: int
    first_wait: timedelta
    longest_wait: timedelta
    patience: timedelta

    def must_stop(self, job: Job, now: datetime) -> bool:
        """Whether the job was cancelled, or has taken too long."""
        return job.state is State.CANCELLING or self.timed_out(job, now)

    def timed_out(self, job: Job, now: datetime) -> bool:
        return job.start_time is not None and now > job.start_time + self.patience

    def stopped(self, job: Job, now: datetime) -> Job:
        """The job that had to stop, when it has."""
        if job.state is State.CANCELLING:
            return job.at_end(State.CANCELLED, now)
        if job.lacks_engine:
            waited = f"{job.failure_message}, for longer than the {self.patience} that the job may take"
            return job.failed(Failure("ENGINE_UNAVAILABLE", waited), now)
        return job.failed(Failure("JOB_TIMED_OUT", f"the job took longer than {self.patience}"), now)

    def retried(self, job: Job, failure: Failure, now: datetime) -> Job:
        """The job, waiting for its next try; or failed, if this was the last."""
        return job.failed(failure, now) if job.attempt_count >= self.attempts else self.waiting(job, failure, now)

    def waiting(self, job: Job, failure: Failure, now: datetime) -> Job:
        """The job, waiting for its next try, however many there were."""
        wait = min(self.first_wait * 2 ** min(job.attempt_count - 1, _DOUBLINGS), self.longest_wait)
        waiting = job._replace(state=State.QUEUED, stage="", done_count=0, total_count=0, next_attempt_time=now + wait)
        return waiting._replace(failure_reason=failure.reason, failure_message=failure.message)


class LogLine(NamedTuple):
    """A line of a job's log."""

    number: int
    time: datetime
    source: str
    text: str


# Beyond these no wait is shorter than its limit.
_DOUBLINGS = 20
