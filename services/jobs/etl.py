"""Runs the ETL of a job as an application on YARN."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from services.jobs.child_process import ChildProcess
from services.jobs.container_logs import AggregatedLogs
from services.jobs.domain import SUBMITTING, Failure, Job, RetryPolicy
from services.jobs.errors import EngineUnavailable
from services.jobs.event_export import EventExport
from services.jobs.log_collector import LogCollector
from services.jobs.package import SCRIPT
from services.jobs.results import Results
from services.jobs.submission import SparkSubmit
from services.jobs.yarn import Application, YarnClient

WAITING_FOR_YARN = "waiting for YARN"

# How long a submission may take to become visible in YARN after its process has ended.
SETTLE_TIME = timedelta(seconds=5)
# How long YARN may take to aggregate an application's logs, and HDFS to return them.
LOG_TIME = timedelta(minutes=2)


class EtlEngines(NamedTuple):
    """The engines that an ETL runs on."""

    yarn: YarnClient
    spark_submit: SparkSubmit
    logs: AggregatedLogs
    results: Results
    events: EventExport | None
    """None if there is no recommender that records events and exposures."""


class EtlConfig(NamedTuple):
    """What all ETLs of a worker have in common."""

    code: Path
    """The zip file with the ETL's modules."""
    arguments: Sequence[str]
    """The arguments of the application, besides the job's own."""
    retry_policy: RetryPolicy


class EtlAttempt:
    """The ETL of a job's current attempt, advanced by the job's holder.

    Each attempt runs one application, whichever worker, program or engine dies. YARN accepts anything that it is sent, so:

    * Nobody submits before the job's row says that they will, under their holder's name. Only the holder changes the row.
    * Each attempt has a tag of its own. An application that YARN has under it is adopted, even if another worker submitted it; another
      is submitted only if there is none.
    * There is certainly none when no process can submit any more. A process of our own has ended. Another holder's was started right
      after its row was written, dies with its worker, and is killed at its deadline whatever that worker does. YARN knows what it was
      sent by then within `SETTLE_TIME`.
    * An application counts once YARN has saved it. One that is lost with the ResourceManager before that is submitted again, in the
      same attempt.
    * Should a machine sleep through all of that and submit late, the later application is killed as soon as it is seen.
    """

    def __init__(self, engines: EtlEngines, config: EtlConfig, log: LogCollector, holder: str) -> None:
        self._engines = engines
        self._config = config
        self._policy = config.retry_policy
        self._log = log
        self._holder = holder
        self._submission: ChildProcess | None = None
        # When the submission, and the application, were first seen to have ended.
        self._submission_end: datetime | None = None
        self._application_end: datetime | None = None

    async def step(self, job: Job, now: datetime) -> Job:
        """Advances the job by one step. Side effects follow in the step after the one that announces them in the row.

        Raises `EngineUnavailable`; then the job is unchanged.
        """
        if not job.submitter and self._policy.must_stop(job, now):
            return self._policy.stop(job, now)
        application = await self._find_application(job)
        if application is None:
            return await self._submit(job, now)
        await self._log_submission()
        if application.has_ended and job.application_id:
            return await self._finish(job, application, now)
        if self._policy.must_stop(job, now) and not application.has_ended:
            await self._engines.yarn.kill(application.id)
            return job
        if not job.application_id:
            return await self._adopt(job, application)
        return await self._follow(job, application)

    async def close(self) -> None:
        """Ends a submission in progress; an application that YARN has continues."""
        if self._submission:
            await self._submission.kill()

    async def _find_application(self, job: Job) -> Application | None:
        """This attempt's application, if YARN has one."""
        tagged = {application.id: application for application in await self._engines.yarn.list_applications(job.attempt_tag)}
        id = job.application_id or next(iter(tagged), "")
        for other in tagged.values():
            if other.id != id and not other.has_ended:
                await self._engines.yarn.kill(other.id)
        if job.application_id and id not in tagged:
            return Application(id, "FAILED", "FAILED", "YARN no longer knows the application", "FAILED")
        return tagged.get(id)

    async def _submit(self, job: Job, now: datetime) -> Job:
        """Advances a job for which YARN has no application yet."""
        if not job.submitter:
            return await self._announce_submission(job, now)
        must_stop = self._policy.must_stop(job, now)
        if job.submitter == self._holder and not self._submission and not must_stop:
            tags = (job.tag, job.attempt_tag)
            self._submission = await self._engines.spark_submit.start(tags, self._config.code, SCRIPT, self._arguments(job))
            return job
        await self._log_submission()
        if self._submission and self._submission.is_running:
            if must_stop:
                await self._submission.kill()
            return job
        if now < self._settled_time(job, now):
            return job
        if must_stop:
            return self._policy.stop(job, now)
        if self._submission:
            reason = self._submission.last_error_line or "it took too long"
            return self._policy.retry(job, Failure("ENGINE_UNAVAILABLE", f"YARN did not accept the application: {reason}"), now)
        await self._log.note("the previous worker did not submit the application")
        return job._replace(submitter="", submit_deadline=None)

    async def _announce_submission(self, job: Job, now: datetime) -> Job:
        await self._engines.results.remove(job.id)
        if self._engines.events:
            await self._log.note(*await self._engines.events.export())
        return job._replace(submitter=self._holder, submit_deadline=now + self._engines.spark_submit.timeout, stage=SUBMITTING)

    def _settled_time(self, job: Job, now: datetime) -> datetime:
        """When YARN certainly knows whatever was submitted."""
        if job.submitter == self._holder:
            self._submission_end = self._submission_end or now
            return self._submission_end + SETTLE_TIME
        return (job.submit_deadline or now) + SETTLE_TIME

    async def _adopt(self, job: Job, application: Application) -> Job:
        """Records the application that YARN has accepted."""
        if not application.is_saved:
            return job
        await self._log.note(f"YARN has accepted the application as {application.id}")
        return job._replace(application_id=application.id, stage=WAITING_FOR_YARN)

    async def _follow(self, job: Job, application: Application) -> Job:
        """Records the log and the progress of an application that has not ended."""
        if application.state != "RUNNING":
            return job._replace(stage=WAITING_FOR_YARN)
        await self._log.collect_running(self._engines.yarn, application.id)
        progress = await self._engines.yarn.progress(application.id)
        if progress is None:
            return job._replace(stage="starting") if job.stage in (SUBMITTING, WAITING_FOR_YARN) else job
        return job._replace(stage=progress.stage or job.stage, done_count=progress.done_count, total_count=progress.total_count)

    async def _finish(self, job: Job, application: Application, now: datetime) -> Job:
        """Records the log and the result of an application that has ended."""
        self._application_end = self._application_end or now
        is_log_due = now < self._application_end + LOG_TIME
        if is_log_due and not application.has_aggregated_logs:
            return job
        await self._collect_rest_of_log(application, is_log_due)
        has_succeeded = application.final_status == "SUCCEEDED"
        # A job whose application was killed on request does not wait for the store.
        must_stop = self._policy.must_stop(job, now)
        result = {} if must_stop and not has_succeeded else await self._engines.results.read(job.id)
        if has_succeeded and "etl" in result:
            return job.complete_etl(result["etl"], now)
        if must_stop:
            return self._policy.stop(job, now)
        if "failure" in result:
            failure = Failure(str(result["failure"]["reason"]), str(result["failure"]["message"]))
            return self._policy.retry(job, failure, now) if failure.reason == "ENGINE_UNAVAILABLE" else job.fail(failure, now)
        if application.final_status == "KILLED":
            return job.fail(Failure("APPLICATION_FAILED", "the application was killed in YARN"), now)
        # An application that fails by itself leaves a result. This one was ended: its node or the cluster was lost, or memory was short.
        reason = (application.diagnostics.splitlines() or ["YARN gives no reason"])[-1]
        return self._policy.retry(job, Failure("APPLICATION_FAILED", f"the application ended without a result: {reason}"), now)

    async def _collect_rest_of_log(self, application: Application, is_log_due: bool) -> None:
        try:
            await self._log.collect_rest(self._engines.logs, application.id)
        except EngineUnavailable as error:
            if is_log_due:
                raise
            await self._log.note(f"the rest of the log is lost: {error}")

    async def _log_submission(self) -> None:
        if self._submission:
            await self._log.note(*self._submission.take_lines())

    def _arguments(self, job: Job) -> list[str]:
        through = ["--through-date", job.through_date] if job.through_date else []
        return ["--job-id", job.id, *self._config.arguments, *through, *(["--full"] if job.full else [])]
