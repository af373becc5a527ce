"""Schedules, and when their jobs are due."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from mesh.errors import Aborted, InvalidArgument
from services.jobs.domain import JobKind, JobSpec, JobState

# Replicas look for due runs far more often. What is later than this was missed.
GRACE = timedelta(minutes=5)
_SECOND = timedelta(seconds=1)
# A sixth one would be seconds.
_CRON_FIELDS = 5


class CatchUp(StrEnum):
    """What follows from due times that were missed."""

    SKIP = "skip"
    RUN_ONCE = "run_once"


class RunOutcome(StrEnum):
    """What came of a due time."""

    SUBMITTED = "submitted"
    MISSED = "missed"
    STILL_RUNNING = "still_running"


class AlarmOutcome(StrEnum):
    """What came of a look at the alarms."""

    QUIET = "quiet"
    SUBMITTED = "submitted"
    WAITING = "waiting"
    FORECASTER_UNAVAILABLE = "forecaster_unavailable"


class ScheduleDetails(NamedTuple):
    """The editable fields of a schedule."""

    name: str
    kind: JobKind
    model: str
    """The model to train; empty for an ETL."""
    recipe: str
    """The recipe of a training; empty for an ETL."""
    full: bool
    """Whether the ETL cleans every month, not only those that new files affect."""
    through_yesterday: bool
    """Whether a job includes the events up to the day before it is due."""
    cron: str
    time_zone: str
    """Of the cron expression, an IANA name."""
    catch_up: CatchUp
    paused: bool
    alarm_interval_days: int | None
    """How many days a job for an alarm is apart from the job before; None if alarms do not matter."""

    def next_due_time(self, after: datetime) -> datetime | None:
        """The first due time after another time; None while it is paused, or if there is none. Raises `InvalidArgument`."""
        return None if self.paused else next_due_time(self.cron, self.time_zone, after)

    def check(self, now: datetime) -> None:
        """Raises `InvalidArgument` if the cron expression, the time zone or the alarm trigger cannot be used."""
        if next_due_time(self.cron, self.time_zone, now) is None:
            raise _invalid("cron", "the cron expression '{cron}' never comes true", cron=self.cron)
        if self.alarm_interval_days is not None and self.model != "forecaster":
            raise _invalid("alarm_trigger", "alarms are of forecasts: only a schedule that trains the forecaster has a trigger")


class Run(NamedTuple):
    """A due time that has come, and what comes of it."""

    due_time: datetime
    outcome: RunOutcome


class Schedule(NamedTuple):
    """A schedule as it is stored."""

    id: str
    name: str
    kind: JobKind
    model: str
    recipe: str
    full: bool
    through_yesterday: bool
    cron: str
    time_zone: str
    catch_up: CatchUp
    paused: bool
    alarm_interval_days: int | None
    created_by: str
    create_time: datetime
    update_time: datetime
    version: int
    next_run_time: datetime | None
    last_due_time: datetime | None
    """When the latest run was due; None if there was none, or if it was run by a call."""
    last_run_time: datetime | None
    last_outcome: RunOutcome | None
    last_by_alarm: bool
    last_submission_time: datetime | None
    """When the latest job was submitted, by whatever."""
    last_check_time: datetime | None
    last_check_outcome: AlarmOutcome | None
    last_firing_count: int
    last_job_id: str
    last_job_state: JobState | None

    @property
    def details(self) -> ScheduleDetails:
        return ScheduleDetails(*self[1:12])

    @property
    def etag(self) -> str:
        return f"{self.version:x}"

    def check_etag(self, etag: str) -> None:
        """Raises `Aborted` if `etag` is stale."""
        if etag and etag != self.etag:
            raise Aborted("STALE_ETAG", "schedule '{id}' was changed since it was read", id=self.id)

    def update(self, details: ScheduleDetails, now: datetime) -> Self:
        """The schedule with other details. Its next run stays, unless the times have changed or a pause has begun or ended."""
        times = ("cron", "time_zone", "paused")
        same = all(getattr(details, field) == getattr(self, field) for field in times)
        due = self.next_run_time if same else details.next_due_time(now)
        return self._replace(**details._asdict(), next_run_time=due)

    def due_run(self, now: datetime, job_runs: bool) -> Run | None:
        """What comes of a due time that has come; None if it has to wait for the job before to end.

        job_runs: whether the job before has not ended
        """
        if self.next_run_time is None or (job_runs and self.catch_up is CatchUp.RUN_ONCE):
            return None
        due = latest_due_time(self.cron, self.time_zone, self.next_run_time, now)
        if job_runs:
            return Run(due, RunOutcome.STILL_RUNNING)
        missed = self.catch_up is CatchUp.SKIP and now - due > GRACE
        return Run(due, RunOutcome.MISSED if missed else RunOutcome.SUBMITTED)

    def alarm_outcome(self, firing_count: int | None, now: datetime, job_runs: bool) -> AlarmOutcome:
        """What comes of a look at the alarms. firing_count: None if the forecaster could not be asked"""
        if firing_count is None:
            return AlarmOutcome.FORECASTER_UNAVAILABLE
        if not firing_count:
            return AlarmOutcome.QUIET
        apart = timedelta(days=self.alarm_interval_days or 0)
        is_recent = self.last_submission_time is not None and now - self.last_submission_time < apart
        return AlarmOutcome.WAITING if job_runs or is_recent else AlarmOutcome.SUBMITTED

    def job_spec(self, submitted_by: str, due_time: datetime, shop_zone: ZoneInfo) -> JobSpec:
        """The job of a run. due_time: when it is due, or now"""
        through = (due_time.astimezone(shop_zone).date() - timedelta(days=1)).isoformat() if self.through_yesterday else ""
        return JobSpec(self.kind, self.model, self.recipe, through, self.full, submitted_by, self.id)


def next_due_time(cron: str, zone: str, after: datetime) -> datetime | None:
    """The first due time after another time, in UTC; None if there is none within fifty years.

    Clocks that change are dealt with as Debian's cron does: a time in the gap is due at its end, one that comes twice is due at first.
    Raises `InvalidArgument`.
    """
    # In the hour that comes again, the library begins with times of the first one.
    found = (time.astimezone(UTC) for time in _due_times(cron, zone, after))
    return next((time for time in found if time > after), None)


def latest_due_time(cron: str, zone: str, first: datetime, now: datetime) -> datetime:
    """The last due time that is not after `now`. first: one that is not either"""
    found = next(_due_times(cron, zone, now.replace(microsecond=0) + _SECOND, reverse=True), first).astimezone(UTC)
    # In the hour that comes again, the library goes back to the day before.
    return found if first < found <= now else first


def _due_times(cron: str, zone: str, start: datetime, *, reverse: bool = False) -> CronSim:
    try:
        local = start.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _invalid("time_zone", "there is no time zone '{time_zone}'", time_zone=zone) from None
    if len(cron.split()) != _CRON_FIELDS:
        message = "a cron expression has five fields, minute, hour, day of month, month and day of week, not '{cron}'"
        raise _invalid("cron", message, cron=cron)
    try:
        return CronSim(cron, local, reverse=reverse)
    except CronSimError as error:
        raise _invalid("cron", "'{cron}' is no cron expression: {detail}", cron=cron, detail=str(error).lower()) from None


def _invalid(field: str, message: str, **metadata: Any) -> InvalidArgument:
    return InvalidArgument(message, field=f"schedule.{field}", reason="SCHEDULE_INVALID", **metadata)
