"""Stores jobs, as the service's callers see them."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Integer,
    Select,
    Text,
    any_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Record, Transaction
from mesh.errors import NotFound
from mesh.idempotency import RETENTION, IdempotentRequest
from mesh.ids import new_id
from mesh.paging import Place
from services.jobs.domain import HELD, Job, JobKind, JobSpec, JobState
from services.jobs.tables import jobs, requests

# PostgreSQL notifies this channel of changes; the payload is the job's id.
CHANNEL = "jobs_changes"

JOB_COLUMNS = [jobs.c[field] for field in Job._fields]
IS_JOB = jobs.c.id == bindparam("id")
NOTIFICATION = func.pg_notify(CHANNEL, jobs.c.id)


class JobRepository:
    """Jobs: submitted, read, listed and cancelled."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, spec: JobSpec, request: IdempotentRequest | None) -> Job:
        """Queues a new job; returns the existing one if the request was carried out before.

        Raises `InvalidArgument` if the request's id was used for another request.
        """

        id = new_id()
        async with self._database.begin() as transaction:
            earlier = await requests.claim(transaction, request, answer=id)
            return await insert_job(transaction, id, spec) if earlier is None else await find_job(transaction, earlier)

    async def get(self, id: str) -> Job:
        """Raises `NotFound`."""
        row = await self._database.fetch_row(_GET, id=id)
        if row is None:
            raise NotFound("job", id)
        return job_from_row(row)

    async def list_jobs(
        self, kind: JobKind | None, states: Collection[JobState], schedule_id: str, after: Place | None, limit: int
    ) -> list[Job]:
        """Jobs, newest first.

        kind: only jobs of this kind
        states: only jobs in these states; empty means all
        schedule_id: only jobs of this schedule; empty means all
        after: only jobs that follow this place, a creation time and an id
        """
        parameters: dict[str, object] = {"limit": limit}
        if kind:
            parameters["kind"] = kind
        if states:
            parameters["states"] = list(states)
        if schedule_id:
            parameters["schedule_id"] = schedule_id
        if after:
            parameters["after_time"], parameters["after_id"] = after
        return [job_from_row(row) for row in await self._database.fetch(_list(frozenset(parameters)), **parameters)]

    async def cancel(self, id: str) -> Job:
        """Cancels a job, or asks its worker to. Raises `NotFound`, and `FailedPrecondition` if the job has ended otherwise."""
        async with self._database.begin() as transaction:
            row = await transaction.fetch_row(_LOCK, id=id)
            if row is None:
                raise NotFound("job", id)
            now, *fields = row
            job = job_from_row(fields)
            cancelled = job.cancel(now)
            if cancelled != job:
                await transaction.execute(UPDATE, **update_parameters(cancelled))
            return cancelled

    async def delete_expired(self, request_age: timedelta = RETENTION) -> None:
        """Deletes idempotent requests that are older."""
        await requests.delete_expired(self._database, request_age)


def job_from_row(row: Record | Sequence[Any] | None) -> Job:
    """The job in a row that begins with `JOB_COLUMNS`."""
    if row is None:
        raise LookupError("the statement returns a job")
    job = Job(*row[: len(Job._fields)])
    return job._replace(kind=JobKind(job.kind), state=JobState(job.state))


async def insert_job(transaction: Transaction, id: str, spec: JobSpec) -> Job:
    """Queues a new job."""
    return job_from_row(await transaction.fetch_row(_SUBMIT, id=id, state=JobState.QUEUED, **spec._asdict()))


async def find_job(transaction: Transaction, id: str) -> Job:
    """A job that exists."""
    return job_from_row(await transaction.fetch_row(_GET, id=id))


def update_parameters(job: Job) -> dict[str, object]:
    """The parameters of `UPDATE`."""
    return {"id": job.id, **{field: getattr(job, field) for field in _CHANGES}}


_SPEC = {field: bindparam(field, type_=jobs.c[field].type) for field in JobSpec._fields}
_SUBMIT = insert(jobs).values(id=bindparam("id"), state=bindparam("state"), **_SPEC).returning(*JOB_COLUMNS)
_GET = select(*JOB_COLUMNS).where(IS_JOB)
_LOCK = select(func.now(), *JOB_COLUMNS).where(IS_JOB).with_for_update()

# The spec never changes; the database sets the creation time and the version.
_CHANGEABLE = Job._fields[Job._fields.index("state") :]
_CHANGES = {field: bindparam(field, type_=jobs.c[field].type) for field in _CHANGEABLE if field not in ("create_time", "version")}
_IS_HELD = bindparam("state", type_=Text) == any_(literal_column(f"ARRAY{[str(state) for state in HELD]}"))
UPDATE = (
    update(jobs)
    .where(IS_JOB)
    .values(**_CHANGES, version=jobs.c.version + 1, holder=case((_IS_HELD, jobs.c.holder), else_=""))
    .returning(NOTIFICATION)
)
"""Writes all changeable fields of a job. A job that is no longer being worked on loses its holder."""


@lru_cache(maxsize=16)
def _list(parameters: frozenset[str]) -> Select[Any]:
    place = tuple_(jobs.c.create_time, jobs.c.id)
    conditions = {
        "kind": jobs.c.kind == bindparam("kind", type_=Text),
        "states": jobs.c.state == any_(bindparam("states", type_=ARRAY(Text))),
        "schedule_id": jobs.c.schedule_id == bindparam("schedule_id", type_=jobs.c.schedule_id.type),
        "after_id": place < tuple_(bindparam("after_time", type_=jobs.c.create_time.type), bindparam("after_id", type_=Text)),
    }
    chosen = [condition for name, condition in conditions.items() if name in parameters]
    return select(*JOB_COLUMNS).where(*chosen).order_by(place.desc()).limit(bindparam("limit", type_=Integer))
