"""Stores the logs of jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ARRAY, DateTime, Integer, Interval, Text, bindparam, column, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database
from mesh.errors import OutOfRange
from services.jobs.domain import LogLine
from services.jobs.leases import IS_HOLDER
from services.jobs.repository import IS_JOB, NOTIFICATION
from services.jobs.tables import jobs, log_lines


class NewLogLine(NamedTuple):
    """A line that is not numbered yet."""

    time: datetime
    source: str
    text: str


class LogRepository:
    """The log of each job: its latest lines, numbered from 1 without gaps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_lines(self, job_id: str, after: int, limit: int) -> list[LogLine]:
        """The lines that follow the line with this number; 0 means from the first that is kept.

        Raises `OutOfRange` if the next line has been deleted.
        """
        lines = [LogLine(*row) for row in await self._database.fetch(_LIST, id=job_id, after=after, limit=limit)]
        if after and lines and lines[0].number > after + 1:
            raise OutOfRange(
                "LOG_EXPIRED",
                "the lines after number {after_number} are no longer kept; the first kept line is {first_number}",
                after_number=after,
                first_number=lines[0].number,
            )
        return lines

    async def list_latest_lines(self, job_id: str, after: int, limit: int) -> list[LogLine]:
        """The last of the lines that follow the line with this number, in ascending order."""
        rows = await self._database.fetch(_LIST_LATEST, id=job_id, after=after, limit=limit)
        return [LogLine(*row) for row in reversed(rows)]

    async def read_offsets(self, job_id: str) -> dict[str, int]:
        """How many bytes of each of the job's log files have been stored, by file."""
        offsets: dict[str, int] = await self._database.fetch_value(_READ_OFFSETS, id=job_id)
        return offsets

    async def append(self, job_id: str, holder: str, lines: Sequence[NewLogLine], offsets: Mapping[str, int], max_lines: int) -> None:
        """Appends lines and stores the files' offsets in one transaction; does nothing if another holds the job.

        max_lines: how many lines the log keeps; older ones are deleted
        """
        async with self._database.begin() as transaction:
            last = await transaction.fetch_value(_EXTEND, id=job_id, holder=holder, count=len(lines), offsets=offsets)
            if last is None or not lines:
                return
            columns = dict(zip(("times", "sources", "texts"), map(list, zip(*lines, strict=True)), strict=True))
            await transaction.execute(_APPEND, id=job_id, before=last - len(lines), **columns)
            await transaction.execute(_TRIM, id=job_id, last_expired=last - max_lines)

    async def delete_expired(self, age: timedelta) -> None:
        """Deletes the logs of jobs that ended longer ago."""
        await self._database.execute(_DELETE_EXPIRED, age=age)


_LIMIT = bindparam("limit", type_=Integer)
_following = select(*(log_lines.c[field] for field in LogLine._fields)).where(
    log_lines.c.job_id == bindparam("id"), log_lines.c.number > bindparam("after", type_=Integer)
)
_LIST = _following.order_by(log_lines.c.number).limit(_LIMIT)
_LIST_LATEST = _following.order_by(log_lines.c.number.desc()).limit(_LIMIT)
_has_expired = jobs.c.end_time < func.now() - bindparam("age", type_=Interval)
_DELETE_EXPIRED = delete(log_lines).where(exists().where(jobs.c.id == log_lines.c.job_id, _has_expired))
_READ_OFFSETS = select(jobs.c.log_offsets).where(IS_JOB)
_EXTEND = (
    update(jobs)
    .where(IS_HOLDER)
    .values(
        line_count=jobs.c.line_count + bindparam("count", type_=Integer), log_offsets=bindparam("offsets", type_=jobs.c.log_offsets.type)
    )
    .returning(jobs.c.line_count, NOTIFICATION)
)
_new_lines = (
    func.unnest(
        bindparam("times", type_=ARRAY(DateTime(timezone=True))), *(bindparam(name, type_=ARRAY(Text)) for name in ("sources", "texts"))
    )
    .table_valued(column("time", DateTime(timezone=True)), column("source", Text), column("text", Text), with_ordinality="place")
    .render_derived("new_lines")
)
_APPEND = insert(log_lines).from_select(
    ["job_id", "number", "time", "source", "text"],
    select(
        bindparam("id", type_=Text),
        bindparam("before", type_=Integer) + _new_lines.c.place,
        _new_lines.c.time,
        _new_lines.c.source,
        _new_lines.c.text,
    ),
)
_TRIM = delete(log_lines).where(log_lines.c.job_id == bindparam("id"), log_lines.c.number <= bindparam("last_expired", type_=Integer))
