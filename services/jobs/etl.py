"""The ETL of a job: an application on YARN, submitted once, watched, and judged by what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from services.jobs.domain import SUBMITTING, Failure, Job, Limits
from services.jobs.events import EventExport
from services.jobs.joblog import JobLog
from services.jobs.package import SCRIPT
from services.jobs.program import Program
from services.jobs.results import Results
from services.jobs.submission import Spark
from services.jobs.yarn import Application, EngineUnavailable, Yarn


class Engines(NamedTuple):
    """What an ETL runs on."""

    yarn: Yarn
    spark: Spark
    results: Results
    # Where there is a recommender, which records events.
    events: EventExport | None


class Terms(NamedTuple):
    """On what terms a worker does its ETLs."""

    # The zip file of the ETL's modules, and what every ETL is told besides its job.
    code: Path
    arguments: Sequence[str]
    limits: Limits


class Etl:
    """The ETL of one job in the hands of one holder, carried on step by step.

    A job has one application a try, whatever dies on the way. YARN takes whatever it is sent, so this is how:

    * Nobody submits before it stands in the job's row, under the holder's name, that they will. Rows are changed by their holder alone.
    * Each try has a tag of its own. What YARN has under it is adopted, whoever submitted it, and only when there is nothing is
      anything submitted.
    * That there is nothing is certain when no program that was begun can submit any more. A program of our own has ended. Another
      holder's was begun at once after its row was written, dies with its worker, and is killed at its deadline whatever that worker
      does. What YARN had been sent by then, it knows within `_SETTLED` more.
    * Should a machine sleep through all of that and submit after all, the later application is killed as soon as it is seen.
    """

    def __init__(self, engines: Engines, terms: Terms, log: JobLog, holder: str) -> None:
        self._yarn, self._spark, self._results, self._events = engines
        self._terms, self._limits = terms, terms.limits
        self._log = log
        self._holder = holder
        self._submission: Program | None = None
        # When it was first seen that the submission, or the application, had ended.
        self._submitted: datetime | None = None
        self._ended: datetime | None = None

    async def step(self, job: Job, now: datetime) -> Job:
        """The job, a little further. What changes the world is done only once the row says that it will be.

        Raises `EngineUnavailable`; then the job is as it was.
        """
        if not job.submitter and self._limits.must_stop(job, now):
            return self._limits.stopped(job, now)
        application = await self._application(job)
        if application is None:
            return await self._unsubmitted(job, now)
        await self._tell_submission()
        if application.id != job.application_id:
            await self._log.note(f"YARN has taken it in as {application.id}")
            return job._replace(application_id=application.id, stage="waiting for YARN")
        if application.ended:
            return await self._over(job, application, now)
        if self._limits.must_stop(job, now):
            await self._yarn.kill(application.id)
            return job
        return await self._running(job, application)

    async def close(self) -> None:
        """Leaves the job; what runs on YARN runs on."""
        if self._submission:
            await self._submission.kill()

    async def _application(self, job: Job) -> Application | None:
        """The application of this try, if YARN has taken one in."""
        tagged = {application.id: application for application in await self._yarn.tagged(job.attempt_tag)}
        id = job.application_id or next(iter(tagged), "")
        for other in tagged.values():
            if other.id != id and not other.ended:
                await self._yarn.kill(other.id)
        if job.application_id and id not in tagged:
            return Application(id, "FAILED", "FAILED", "YARN no longer knows the application", "FAILED")
        return tagged.get(id)

    async def _unsubmitted(self, job: Job, now: datetime) -> Job:
        if not job.submitter:
            await self._results.clear(job.id)
            if self._events:
                await self._log.note(await self._events.export())
            return job._replace(submitter=self._holder, submit_deadline=now + self._spark.longest_submission, stage=SUBMITTING)
        must_stop = self._limits.must_stop(job, now)
        if job.submitter == self._holder and not self._submission and not must_stop:
            self._submission = await self._spark.submit((job.tag, job.attempt_tag), self._terms.code, SCRIPT, self._arguments(job))
            return job
        await self._tell_submission()
        if self._submission and self._submission.running:
            if must_stop:
                await self._submission.kill()
            return job
        if now < self._settled(job, now):
            return job
        if must_stop:
            return self._limits.stopped(job, now)
        if self._submission:
            reason = self._submission.complaint or "it took too long"
            return self._limits.retried(job, Failure("ENGINE_UNAVAILABLE", f"YARN did not take it in: {reason}"), now)
        await self._log.note("whoever was about to submit it did not")
        return job._replace(submitter="", submit_deadline=None)

    def _settled(self, job: Job, now: datetime) -> datetime:
        """When it is certain that YARN knows whatever was submitted."""
        if job.submitter == self._holder:
            self._submitted = self._submitted or now
            return self._submitted + _SETTLED
        return (job.submit_deadline or now) + _SETTLED

    async def _running(self, job: Job, application: Application) -> Job:
        if application.state != "RUNNING":
            return job._replace(stage="waiting for YARN")
        await self._log.follow(self._yarn, application.id)
        progress = await self._yarn.progress(application.id)
        if progress is None:
            return job._replace(stage="starting") if job.stage in (SUBMITTING, "waiting for YARN") else job
        return job._replace(stage=progress.stage or job.stage, done_count=progress.done_count, total_count=progress.total_count)

    async def _over(self, job: Job, application: Application, now: datetime) -> Job:
        self._ended = self._ended or now
        if not application.logs_gathered and now < self._ended + _GATHERED:
            return job
        await self._complete_log(application, now)
        succeeded = application.final_status == "SUCCEEDED"
        # What was killed on request need not wait for the store.
        must_stop = self._limits.must_stop(job, now)
        left = {} if must_stop and not succeeded else await self._results.read(job.id)
        if succeeded and "etl" in left:
            return job.cleaned(left["etl"], now)
        if must_stop:
            return self._limits.stopped(job, now)
        if "failure" in left:
            failure = Failure(str(left["failure"]["reason"]), str(left["failure"]["message"]))
            retried = failure.reason == "ENGINE_UNAVAILABLE"
            return self._limits.retried(job, failure, now) if retried else job.failed(failure, now)
        if application.final_status == "KILLED":
            return job.failed(Failure("APPLICATION_FAILED", "somebody killed the application in YARN"), now)
        # Its own faults it tells. What ended without a word was ended: its node was lost, or the cluster.
        last = application.diagnostics.splitlines()[-1:] or ["YARN does not say why"]
        return self._limits.retried(job, Failure("APPLICATION_FAILED", f"the application ended without a result: {last[0]}"), now)

    async def _complete_log(self, application: Application, now: datetime) -> None:
        try:
            await self._log.complete(self._spark, application.id)
        except EngineUnavailable as error:
            if self._ended and now < self._ended + _GATHERED:
                raise
            await self._log.note(f"the rest of the log is lost: {error}")

    async def _tell_submission(self) -> None:
        if self._submission:
            await self._log.note(*self._submission.said())

    def _arguments(self, job: Job) -> list[str]:
        through = ["--through-date", job.through_date] if job.through_date else []
        return ["--job-id", job.id, *self._terms.arguments, *through, *(["--full"] if job.full else [])]


# How long what was sent to YARN may be on its way.
_SETTLED = timedelta(seconds=5)
# How long YARN may take to gather an application's logs, and give them.
_GATHERED = timedelta(minutes=2)
