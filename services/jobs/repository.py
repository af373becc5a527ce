"""Where jobs and their logs are kept."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    DateTime,
    Integer,
    Interval,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    case,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Record
from mesh.errors import NotFound, OutOfRange
from mesh.idempotency import RETENTION, IdempotentRequest
from mesh.ids import new_id
from mesh.paging import Place
from services.jobs.domain import HELD, Job, Kind, LogLine, Order, State
from services.jobs.tables import jobs, log_lines, requests

# What the database tells of changes on, to whoever listens: the id of the job.
CHANNEL = "jobs_changes"


class Held(NamedTuple):
    """A job that a worker holds, and the database's time."""

    job: Job
    now: datetime


class NewLine(NamedTuple):
    """A line of a log that has no number yet."""

    time: datetime
    source: str
    text: str


class JobRepository:
    """Jobs, as those see them who submit and watch them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, order: Order, request: IdempotentRequest | None) -> Job:
        """A new job, queued; or, if the request was carried out before, the one that it made then.

        Raises `InvalidArgument` if the request's id was used for another request.
        """
        id = new_id()
        async with self._database.begin() as transaction:
            earlier = await requests.claim(transaction, request, answer=id)
            if earlier is not None:
                return _job(await transaction.fetch_row(_GET, id=earlier))
            return _job(await transaction.fetch_row(_SUBMIT, id=id, state=State.QUEUED, **order._asdict()))

    async def get(self, id: str) -> Job:
        """Raises `NotFound`."""
        row = await self._database.fetch_row(_GET, id=id)
        if row is None:
            raise NotFound("job", id)
        return _job(row)

    async def page(self, kind: Kind | None, states: Collection[State], after: Place | None, limit: int) -> list[Job]:
        """The newest jobs, or those that follow the place `after`: a time and an id."""
        parameters: dict[str, object] = {"limit": limit}
        if kind:
            parameters["kind"] = kind
        if states:
            parameters["states"] = list(states)
        if after:
            parameters["after_time"], parameters["after_id"] = after
        return [_job(row) for row in await self._database.fetch(_page(frozenset(parameters)), **parameters)]

    async def cancel(self, id: str) -> Job:
        """The job, asked to stop. Raises `NotFound`, or `FailedPrecondition` if it has ended."""
        async with self._database.begin() as transaction:
            row = await transaction.fetch_row(_LOCK, id=id)
            if row is None:
                raise NotFound("job", id)
            now, *fields = row
            job = _job(fields).cancelled(now)
            await transaction.execute(_SAVE_ANY, **_changeable(job))
            return job

    async def lines(self, id: str, after: int, limit: int) -> list[LogLine]:
        """The lines of a job's log that follow this number. Raises `OutOfRange` if they are no longer kept, 0 standing for the first."""
        found = [LogLine(*row) for row in await self._database.fetch(_LINES, id=id, after=after, limit=limit)]
        if after and found and found[0].number > after + 1:
            raise OutOfRange("LOG_EXPIRED", f"the lines after number {after} are no longer kept; from {found[0].number} on they are")
        return found

    async def newest_lines(self, id: str, after: int, limit: int) -> list[LogLine]:
        """The last of the lines that follow this number, in their order."""
        rows = await self._database.fetch(_NEWEST_LINES, id=id, after=after, limit=limit)
        return [LogLine(*row) for row in reversed(rows)]

    async def delete_expired(self, request_age: timedelta = RETENTION) -> None:
        """Deletes the requests that are older."""
        await requests.delete_expired(self._database, request_age)


class LeaseRepository:
    """Jobs, as those see them who do the work. Who holds a job alone may change it; whoever lost it finds that out."""

    def __init__(self, database: Database, lease: timedelta, lines_kept: int) -> None:
        self._database = database
        self._lease = lease
        self._lines_kept = lines_kept

    async def claim(self, holder: str) -> Job | None:
        """A job to work on: one whose holder is gone, else the oldest that is due. None if there is nothing to do.

        Jobs replace what those before them published, so their ETLs run one after the other. What is trained meanwhile stands in no way.
        """
        async with self._database.begin() as transaction:
            # Two workers at once, each with a job of its own in view, would not see the other's.
            await transaction.fetch_value(_LOCK_CLAIMS)
            row = await transaction.fetch_row(_CLAIM, holder=holder, lease=self._lease)
            return _job(row) if row else None

    async def renew(self, id: str, holder: str) -> Held | None:
        """The job as it stands, held for a while longer. None if another holds it now."""
        row = await self._database.fetch_row(_RENEW, id=id, holder=holder, lease=self._lease)
        if row is None:
            return None
        now, *fields = row
        return Held(_job(fields), now)

    async def release(self, id: str, holder: str) -> None:
        """Lets another take the job over at once."""
        await self._database.execute(_RELEASE, id=id, holder=holder)

    async def save(self, job: Job, holder: str) -> None:
        """Keeps the job as it has become, unless it was changed by others meanwhile; then what they made of it stands."""
        await self._database.execute(_SAVE, **_changeable(job), holder=holder, read_version=job.version)

    async def offsets(self, id: str) -> dict[str, int]:
        """Up to which byte the files of the job's log have been read."""
        offsets: dict[str, int] = await self._database.fetch_value(_OFFSETS, id=id)
        return offsets

    async def append(self, id: str, holder: str, lines: Sequence[NewLine], offsets: Mapping[str, int]) -> None:
        """Adds lines to a job's log and keeps how far its files have been read, both or neither; nothing if another holds the job."""
        async with self._database.begin() as transaction:
            last = await transaction.fetch_value(_EXTEND, id=id, holder=holder, count=len(lines), offsets=offsets)
            if last is None or not lines:
                return
            columns = dict(zip(("times", "sources", "texts"), map(list, zip(*lines, strict=True)), strict=True))
            await transaction.execute(_APPEND, id=id, before=last - len(lines), **columns)
            await transaction.execute(_TRIM, id=id, last_expired=last - self._lines_kept)


_JOB = [jobs.c[field] for field in Job._fields]
_LIMIT = bindparam("limit", type_=Integer)
_this_job = jobs.c.id == bindparam("id")
_notified = func.pg_notify(CHANNEL, jobs.c.id)

_ORDER = {field: bindparam(field, type_=jobs.c[field].type) for field in Order._fields}
_SUBMIT = insert(jobs).values(id=bindparam("id"), state=bindparam("state"), **_ORDER).returning(*_JOB)
_GET = select(*_JOB).where(_this_job)
_LOCK = select(func.now(), *_JOB).where(_this_job).with_for_update()


@lru_cache(maxsize=16)
def _page(given: frozenset[str]) -> Select[Any]:
    place = tuple_(jobs.c.create_time, jobs.c.id)
    conditions = {
        "kind": jobs.c.kind == bindparam("kind", type_=Text),
        "states": jobs.c.state == any_(bindparam("states", type_=ARRAY(Text))),
        "after_id": place < tuple_(bindparam("after_time", type_=jobs.c.create_time.type), bindparam("after_id", type_=Text)),
    }
    chosen = [condition for name, condition in conditions.items() if name in given]
    return select(*_JOB).where(*chosen).order_by(place.desc()).limit(_LIMIT)


# What a job's work changes of it. A job that is no longer worked on is nobody's.
_CHANGEABLE = Job._fields[Job._fields.index("state") :]
_changes = {field: bindparam(field, type_=jobs.c[field].type) for field in _CHANGEABLE if field not in ("create_time", "version")}
_SAVE_ANY = (
    update(jobs)
    .where(_this_job)
    .values(
        **_changes,
        version=jobs.c.version + 1,
        holder=case(
            (bindparam("state", type_=Text) == any_(literal_column(f"ARRAY{[str(state) for state in HELD]}")), jobs.c.holder), else_=""
        ),
    )
    .returning(_notified)
)
_SAVE = _SAVE_ANY.where(jobs.c.holder == bindparam("holder"), jobs.c.version == bindparam("read_version", type_=Integer))


def _changeable(job: Job) -> dict[str, object]:
    return {"id": job.id, **{field: getattr(job, field) for field in _changes}}


_LOCK_CLAIMS = select(func.pg_advisory_xact_lock(func.hashtext("jobs.claims")))
_lease_end = func.now() + bindparam("lease", type_=Interval)
_other = jobs.alias("other")
_is_queued = jobs.c.state == State.QUEUED
_is_to_clean = and_(_is_queued, jobs.c.etl.is_(None))
_is_lost = and_(jobs.c.state.in_([literal_column(f"'{state}'") for state in HELD]), jobs.c.held_until < func.now())
_lake_is_free = ~exists().where(_other.c.state.in_([literal_column(f"'{state}'") for state in HELD]), _other.c.etl.is_(None))
_is_due = and_(_is_queued, func.coalesce(jobs.c.next_attempt_time, func.now()) <= func.now(), or_(jobs.c.etl.is_not(None), _lake_is_free))
_wanted = (
    select(jobs.c.id)
    .where(jobs.c.end_time.is_(None), or_(_is_lost, _is_due))
    .order_by(_is_queued, jobs.c.create_time, jobs.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_CLAIM = (
    update(jobs)
    .where(jobs.c.id == _wanted)
    .values(
        holder=bindparam("holder"),
        held_until=_lease_end,
        state=case((_is_queued, State.RUNNING), else_=jobs.c.state),
        attempt_count=jobs.c.attempt_count + case((_is_queued, 1), else_=0),
        # A new try of the ETL has nothing of the one before.
        application_id=case((_is_to_clean, ""), else_=jobs.c.application_id),
        submitter=case((_is_to_clean, ""), else_=jobs.c.submitter),
        submit_deadline=case((_is_to_clean, None), else_=jobs.c.submit_deadline),
        start_time=func.coalesce(jobs.c.start_time, func.now()),
        next_attempt_time=None,
        version=jobs.c.version + 1,
    )
    .returning(*_JOB, _notified)
)
_holds = and_(_this_job, jobs.c.holder == bindparam("holder"))
_RENEW = update(jobs).where(_holds).values(held_until=_lease_end).returning(func.now(), *_JOB)
_RELEASE = update(jobs).where(_holds).values(held_until=func.now())

_following = select(*(log_lines.c[field] for field in LogLine._fields)).where(
    log_lines.c.job_id == bindparam("id"), log_lines.c.number > bindparam("after", type_=Integer)
)
_LINES = _following.order_by(log_lines.c.number).limit(_LIMIT)
_NEWEST_LINES = _following.order_by(log_lines.c.number.desc()).limit(_LIMIT)
_OFFSETS = select(jobs.c.log_offsets).where(_this_job)
_EXTEND = (
    update(jobs)
    .where(_holds)
    .values(
        line_count=jobs.c.line_count + bindparam("count", type_=Integer), log_offsets=bindparam("offsets", type_=jobs.c.log_offsets.type)
    )
    .returning(jobs.c.line_count, _notified)
)
_incoming = (
    func.unnest(
        bindparam("times", type_=ARRAY(DateTime(timezone=True))), *(bindparam(name, type_=ARRAY(Text)) for name in ("sources", "texts"))
    )
    .table_valued(column("time", DateTime(timezone=True)), column("source", Text), column("text", Text), with_ordinality="place")
    .render_derived("incoming")
)
_APPEND = insert(log_lines).from_select(
    ["job_id", "number", "time", "source", "text"],
    select(
        bindparam("id", type_=Text),
        bindparam("before", type_=Integer) + _incoming.c.place,
        _incoming.c.time,
        _incoming.c.source,
        _incoming.c.text,
    ),
)
_TRIM = delete(log_lines).where(log_lines.c.job_id == bindparam("id"), log_lines.c.number <= bindparam("last_expired", type_=Integer))


def _job(row: Record | Sequence[Any] | None) -> Job:
    if row is None:
        raise LookupError("the statement answers a job")
    job = Job(*row[: len(Job._fields)])
    return job._replace(kind=Kind(job.kind), state=State(job.state))
