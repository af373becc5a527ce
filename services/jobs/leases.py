"""Leases: a worker holds a job for a limited time, and only its holder may change it."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from mesh.database import Database
from services.jobs.domain import HELD, Job, JobState
from services.jobs.repository import IS_JOB, JOB_COLUMNS, NOTIFICATION, UPDATE, job_from_row, update_parameters
from services.jobs.tables import jobs

IS_HOLDER = and_(IS_JOB, jobs.c.holder == bindparam("holder"))


class Lease(NamedTuple):
    """A job as its holder finds it."""

    job: Job
    now: datetime
    """The database's time."""


class LeaseRepository:
    """Jobs, claimed and changed by their holders.

    duration: how long a holder keeps a job without renewing its lease
    """

    def __init__(self, database: Database, duration: timedelta) -> None:
        self._database = database
        self._duration = duration

    async def claim(self, holder: str) -> Job | None:
        """A job to work on: one whose lease has expired, else the oldest that is due; None if there is none.

        Each ETL replaces what the one before published, so they run one at a time; trainings do not hinder them.
        """
        async with self._database.begin() as transaction:
            # Two concurrent claims of different jobs would not see each other.
            await transaction.fetch_value(_LOCK_CLAIMS)
            row = await transaction.fetch_row(_CLAIM, holder=holder, lease=self._duration)
            return job_from_row(row) if row else None

    async def renew(self, id: str, holder: str) -> Lease | None:
        """Extends the lease and returns the current job; None if another holds it now."""
        row = await self._database.fetch_row(_RENEW, id=id, holder=holder, lease=self._duration)
        if row is None:
            return None
        now, *fields = row
        return Lease(job_from_row(fields), now)

    async def release(self, id: str, holder: str) -> None:
        """Ends the lease, so that another can take over at once."""
        await self._database.execute(_RELEASE, id=id, holder=holder)

    async def save(self, job: Job, holder: str) -> None:
        """Writes a job that its holder has changed. Does nothing if anyone has changed it since it was read."""
        await self._database.execute(_SAVE, **update_parameters(job), holder=holder, read_version=job.version)


_LOCK_CLAIMS = select(func.pg_advisory_xact_lock(func.hashtext("jobs.claims")))
_LEASE_END = func.now() + bindparam("lease", type_=Interval)
_HELD_STATES: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in HELD]
_OTHER = jobs.alias("other")

_is_queued = jobs.c.state == JobState.QUEUED
_needs_etl = and_(_is_queued, jobs.c.etl.is_(None))
_is_abandoned = and_(jobs.c.state.in_(_HELD_STATES), jobs.c.held_until < func.now())
_no_etl_runs = ~exists().where(_OTHER.c.state.in_(_HELD_STATES), _OTHER.c.etl.is_(None))
_is_due = and_(_is_queued, func.coalesce(jobs.c.next_attempt_time, func.now()) <= func.now(), or_(jobs.c.etl.is_not(None), _no_etl_runs))
_NEXT_JOB = (
    select(jobs.c.id)
    .where(jobs.c.end_time.is_(None), or_(_is_abandoned, _is_due))
    .order_by(_is_queued, jobs.c.create_time, jobs.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_CLAIM = (
    update(jobs)
    .where(jobs.c.id == _NEXT_JOB)
    .values(
        holder=bindparam("holder"),
        held_until=_LEASE_END,
        state=case((_is_queued, JobState.RUNNING), else_=jobs.c.state),
        attempt_count=jobs.c.attempt_count + case((_is_queued, 1), else_=0),
        # A new attempt of the ETL takes nothing over from the one before.
        application_id=case((_needs_etl, ""), else_=jobs.c.application_id),
        submitter=case((_needs_etl, ""), else_=jobs.c.submitter),
        submit_deadline=case((_needs_etl, None), else_=jobs.c.submit_deadline),
        start_time=func.coalesce(jobs.c.start_time, func.now()),
        next_attempt_time=None,
        version=jobs.c.version + 1,
    )
    .returning(*JOB_COLUMNS, NOTIFICATION)
)
_RENEW = update(jobs).where(IS_HOLDER).values(held_until=_LEASE_END).returning(func.now(), *JOB_COLUMNS)
_RELEASE = update(jobs).where(IS_HOLDER).values(held_until=func.now())
_SAVE = UPDATE.where(jobs.c.holder == bindparam("holder"), jobs.c.version == bindparam("read_version", type_=Integer))
