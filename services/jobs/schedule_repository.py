"""Stores schedules, and submits their jobs when they are due."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Integer, Text, bindparam, case, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Record, Transaction
from mesh.errors import AlreadyExists, FailedPrecondition, NotFound
from mesh.idempotency import IdempotentRequest
from mesh.ids import new_id
from services.jobs.domain import Job, JobKind, JobState
from services.jobs.repository import find_job, insert_job
from services.jobs.schedules import AlarmOutcome, CatchUp, Run, RunOutcome, Schedule, ScheduleDetails
from services.jobs.tables import jobs, requests, schedules

# Alarms change once a day, when sales arrive or a model is promoted.
_CHECK_INTERVAL = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class ScheduleRepository:
    """Schedules. Times are the database's, so that replicas agree on what is due.

    shop_zone: of the days of jobs
    """

    def __init__(self, database: Database, shop_zone: ZoneInfo) -> None:
        self._database = database
        self._shop_zone = shop_zone

    async def page(self, after: str, limit: int) -> list[Schedule]:
        """The schedules that follow an id."""
        return [_schedule(row) for row in await self._database.fetch(_PAGE, after=after, limit=limit)]

    async def get(self, id: str) -> Schedule:
        """Raises `NotFound`."""
        row = await self._database.fetch_row(_GET, id=id)
        if row is None:
            raise NotFound("schedule", id)
        return _schedule(row)

    async def create(self, id: str, details: ScheduleDetails, created_by: str, request: IdempotentRequest | None) -> Schedule:
        """Creates a schedule; returns the existing one if the request was carried out before.

        Raises `AlreadyExists`, and `InvalidArgument` if the details cannot be used.
        """
        async with self._database.begin() as transaction:
            earlier = await requests.claim(transaction, request, answer=id)
            if earlier is None:
                now = await transaction.fetch_value(_NOW)
                details.check(now)
                values = {**details._asdict(), "created_by": created_by, "next_run_time": details.next_due_time(now)}
                if not await transaction.execute(_CREATE, id=id, **values):
                    raise AlreadyExists("schedule", id)
        return await self.get(earlier or id)

    async def update(self, id: str, apply: Callable[[Schedule], ScheduleDetails], request: IdempotentRequest | None) -> Schedule:
        """Saves the details that `apply` returns for the current schedule. Raises `NotFound`, and `InvalidArgument` as `create` does."""
        async with self._database.begin() as transaction:
            if await requests.claim(transaction, request, answer=id) is None:
                now, current = await _lock(transaction, id)
                details = apply(current)
                if details != current.details:
                    details.check(now)
                    updated = current.update(details, now)
                    await transaction.execute(_UPDATE, schedule_id=id, **details._asdict(), next_run_time=updated.next_run_time)
        return await self.get(id)

    async def delete(self, id: str, etag: str) -> None:
        """Deletes a schedule if it exists. Raises `Aborted` if `etag` is stale."""
        async with self._database.begin() as transaction:
            row = await transaction.fetch_row(_LOCK, id=id)
            if row is not None:
                _schedule(row[1:]).check_etag(etag)
                await transaction.execute(_DELETE, id=id)

    async def run(self, id: str, submitted_by: str, request: IdempotentRequest | None) -> Job:
        """Submits a schedule's job; returns the existing one if the request was carried out before.

        Raises `NotFound`, and `FailedPrecondition` if the job before has not ended.
        """
        job_id = new_id()
        async with self._database.begin() as transaction:
            earlier = await requests.claim(transaction, request, answer=job_id)
            if earlier is not None:
                return await find_job(transaction, earlier)
            now, schedule = await _lock(transaction, id)
            if running := await transaction.fetch_value(_RUNNING_JOB, id=id):
                message = "job '{job_id}' of schedule '{id}' has not ended"
                raise FailedPrecondition("SCHEDULE_RUNNING", message, id=id, job_id=running)
            job = await insert_job(transaction, job_id, schedule.job_spec(submitted_by, now, self._shop_zone))
            await _record_job(transaction, schedule, job_id, by_alarm=False)
            return job

    async def submit_due(self) -> None:
        """Submits the jobs of all runs that are due."""
        while await self._carry_out_next():
            pass

    async def check_alarms(self, count_firing: Callable[[], Awaitable[int | None]]) -> None:
        """Looks at the alarms for all schedules with a trigger that are due a look, and submits the jobs that follow.

        count_firing: returns how many alarms are on, None if the forecaster cannot be asked; called once, if a look is due
        """
        if await self._database.fetch_value(_IS_CHECK_DUE):
            firing_count = await count_firing()
            while await self._check_next(firing_count):
                pass

    async def _check_next(self, firing_count: int | None) -> bool:
        """Looks at the alarms for one schedule; returns whether there was one."""
        async with self._database.begin() as transaction:
            row = await transaction.fetch_row(_LOCK_CHECK)
            if row is None:
                return False
            now, schedule = row[0], _schedule(row[1:])
            job_runs = await transaction.fetch_value(_RUNNING_JOB, id=schedule.id) is not None
            outcome = schedule.alarm_outcome(firing_count, now, job_runs)
            if outcome is AlarmOutcome.SUBMITTED:
                job_id = new_id()
                await insert_job(transaction, job_id, schedule.job_spec(schedule.created_by, now, self._shop_zone))
                await _record_job(transaction, schedule, job_id, by_alarm=True)
            await transaction.execute(_RECORD_CHECK, schedule_id=schedule.id, outcome=outcome, firing_count=firing_count or 0)
        if outcome is not schedule.last_check_outcome:
            log.info("alarms checked", schedule_id=schedule.id, outcome=str(outcome), firing_count=firing_count)
        return True

    async def _carry_out_next(self) -> bool:
        """Carries out one due run; returns whether there was one."""
        async with self._database.begin() as transaction:
            row = await transaction.fetch_row(_LOCK_DUE)
            if row is None:
                return False
            now, schedule = row[0], _schedule(row[1:])
            # Looked up once the schedule is locked: a call may have run it right before.
            job_runs = await transaction.fetch_value(_RUNNING_JOB, id=schedule.id) is not None
            run = schedule.due_run(now, job_runs)
            if run is None:
                return False
            await self._record(transaction, schedule, run, now)
        log.info("schedule due", schedule_id=schedule.id, due_time=run.due_time.isoformat(), outcome=str(run.outcome))
        return True

    async def _record(self, transaction: Transaction, schedule: Schedule, run: Run, now: datetime) -> None:
        job_id = schedule.last_job_id
        if run.outcome is RunOutcome.SUBMITTED:
            job_id = new_id()
            spec = schedule.job_spec(schedule.created_by, run.due_time, self._shop_zone)
            await insert_job(transaction, job_id, spec._replace(due_time=run.due_time))
        last = {"last_due_time": run.due_time, "last_outcome": run.outcome, "last_by_alarm": False, "last_job_id": job_id}
        await transaction.execute(_RECORD_RUN, schedule_id=schedule.id, next_run_time=schedule.details.next_due_time(now), **last)


async def _record_job(transaction: Transaction, schedule: Schedule, job_id: str, *, by_alarm: bool) -> None:
    """Records a job that was submitted without being due."""
    last = {"last_due_time": None, "last_outcome": RunOutcome.SUBMITTED, "last_by_alarm": by_alarm, "last_job_id": job_id}
    await transaction.execute(_RECORD_RUN, schedule_id=schedule.id, next_run_time=schedule.next_run_time, **last)


async def _lock(transaction: Transaction, id: str) -> tuple[datetime, Schedule]:
    """The database's time, and a schedule that nobody else changes during the transaction. Raises `NotFound`."""
    row = await transaction.fetch_row(_LOCK, id=id)
    if row is None:
        raise NotFound("schedule", id)
    return row[0], _schedule(row[1:])


def _schedule(row: Record | tuple[Any, ...]) -> Schedule:
    schedule = Schedule(*row)
    return schedule._replace(
        kind=JobKind(schedule.kind),
        catch_up=CatchUp(schedule.catch_up),
        last_outcome=RunOutcome(schedule.last_outcome) if schedule.last_outcome else None,
        last_check_outcome=AlarmOutcome(schedule.last_check_outcome) if schedule.last_check_outcome else None,
        last_job_state=JobState(schedule.last_job_state) if schedule.last_job_state else None,
    )


_COLUMNS = [schedules.c[field] for field in Schedule._fields[:-1]]
_WITH_LAST_JOB = schedules.outerjoin(jobs, jobs.c.id == schedules.c.last_job_id)
_is_schedule = schedules.c.id == bindparam("id", type_=Text)
_all = select(*_COLUMNS, jobs.c.state).select_from(_WITH_LAST_JOB)
_GET = _all.where(_is_schedule)
_PAGE = _all.where(schedules.c.id > bindparam("after", type_=Text)).order_by(schedules.c.id).limit(bindparam("limit", type_=Integer))
_NOW = select(func.now())

_now_and_all = select(func.clock_timestamp(), *_COLUMNS, jobs.c.state).select_from(_WITH_LAST_JOB)
_LOCK = _now_and_all.where(_is_schedule).with_for_update(of=schedules)
_has_running_job = exists().where(jobs.c.schedule_id == schedules.c.id, jobs.c.end_time.is_(None)).correlate(schedules)
# Replicas share the work: one takes a schedule, the others go on to the next.
_LOCK_DUE = (
    _now_and_all.where(schedules.c.next_run_time <= func.now(), or_(schedules.c.catch_up != CatchUp.RUN_ONCE, ~_has_running_job))
    .order_by(schedules.c.next_run_time)
    .limit(1)
    .with_for_update(of=schedules, skip_locked=True)
)
_is_check_due = [
    schedules.c.alarm_interval_days.is_not(None),
    schedules.c.paused.is_(False),
    or_(schedules.c.last_check_time.is_(None), schedules.c.last_check_time < func.now() - _CHECK_INTERVAL),
]
_IS_CHECK_DUE = select(exists().where(*_is_check_due))
_LOCK_CHECK = _now_and_all.where(*_is_check_due).limit(1).with_for_update(of=schedules, skip_locked=True)
_RUNNING_JOB = select(jobs.c.id).where(jobs.c.schedule_id == bindparam("id", type_=Text), jobs.c.end_time.is_(None)).limit(1)

_DETAILS = {field: bindparam(field, type_=schedules.c[field].type) for field in ScheduleDetails._fields}
_next_run_time = bindparam("next_run_time", type_=schedules.c.next_run_time.type)
_CREATE = (
    insert(schedules)
    .values(id=bindparam("id"), created_by=bindparam("created_by"), next_run_time=_next_run_time, **_DETAILS)
    .on_conflict_do_nothing()
)
_of_schedule = schedules.c.id == bindparam("schedule_id", type_=Text)
_UPDATE = (
    update(schedules)
    .where(_of_schedule)
    .values(**_DETAILS, next_run_time=_next_run_time, update_time=func.now(), version=schedules.c.version + 1)
)
_RUN_FIELDS = ("last_due_time", "last_outcome", "last_by_alarm", "last_job_id")
_LAST = {field: bindparam(field, type_=schedules.c[field].type) for field in _RUN_FIELDS}
_submission_time = case((_LAST["last_outcome"] == RunOutcome.SUBMITTED, func.now()), else_=schedules.c.last_submission_time)
_RECORD_RUN = (
    update(schedules)
    .where(_of_schedule)
    .values(**_LAST, next_run_time=_next_run_time, last_run_time=func.now(), last_submission_time=_submission_time)
)
_RECORD_CHECK = (
    update(schedules)
    .where(_of_schedule)
    .values(last_check_time=func.now(), last_check_outcome=bindparam("outcome"), last_firing_count=bindparam("firing_count"))
)
_DELETE = delete(schedules).where(_is_schedule)
