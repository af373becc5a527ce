"""Stores the calendar."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta

from sqlalchemy import Date, Integer, Text, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from hashiramart.forecaster.v1 import calendar_pb2
from mesh.database import Database, Transaction
from mesh.errors import AlreadyExists, NotFound, StatusError
from mesh.idempotency import RETENTION, IdempotentRequest
from services.forecaster.calendar import Entry, EntryDetails, EntryKind, ImportReport, Row, RowFault, check_overlap
from services.forecaster.tables import calendar_entries as entries
from services.forecaster.tables import requests

# The channel on which PostgreSQL notifies of changes.
CHANNEL = "forecaster_calendar"

_ENTRY = [entries.c[field] for field in Entry._fields]
_ALL = select(*_ENTRY)
_GET = _ALL.where(entries.c.id == bindparam("id", type_=Text))
_EFFECTIVE = _ALL.where(entries.c.kind != "holiday").order_by(entries.c.id)
_place = tuple_(entries.c.first_date, entries.c.id)
_PAGE = (
    _ALL.where(
        entries.c.last_date >= bindparam("from_date", type_=Date),
        or_(bindparam("kind", type_=Text) == "", entries.c.kind == bindparam("kind", type_=Text)),
        _place > tuple_(bindparam("after_date", type_=Date), bindparam("after_id", type_=Text)),
    )
    .order_by(entries.c.first_date, entries.c.id)
    .limit(bindparam("limit", type_=Integer))
)
# Writers take turns, so that no two of them enter promotions that overlap.
_LOCK = select(func.pg_advisory_xact_lock(func.hashtext(CHANNEL)))
_NOTIFY = select(func.pg_notify(CHANNEL, ""))
_PROMOTIONS = _ALL.where(entries.c.kind == "promotion")

_DETAILS = {field: bindparam(field, type_=entries.c[field].type) for field in EntryDetails._fields}
_CREATE = (
    insert(entries)
    .values(id=bindparam("id"), **_DETAILS, create_time=func.statement_timestamp(), update_time=func.statement_timestamp(), version=1)
    .on_conflict_do_nothing()
    .returning(*_ENTRY)
)
_SAVE = (
    update(entries)
    .where(entries.c.id == bindparam("entry_id", type_=Text))
    .values(**_DETAILS, update_time=func.statement_timestamp(), version=entries.c.version + 1)
    .returning(*_ENTRY)
)
_DELETE = delete(entries).where(entries.c.id == bindparam("id", type_=Text))

Carried = Callable[[Transaction], Awaitable[calendar_pb2.CalendarEntry]]


class CalendarRepository:
    """The entries of the calendar."""

    def __init__(self, database: Database, message: Callable[[Entry], calendar_pb2.CalendarEntry]) -> None:
        """message: an entry as it is answered, which is kept for repeated requests"""
        self._database = database
        self._message = message

    async def page(self, kind: EntryKind | None, from_date: date, after: tuple[date, str], limit: int) -> list[Entry]:
        """The next entries by first day and id. after: the place of the last one before"""
        rows = await self._database.fetch(_PAGE, kind=kind or "", from_date=from_date, after_date=after[0], after_id=after[1], limit=limit)
        return [Entry(*row) for row in rows]

    async def get(self, id: str) -> Entry:
        """An entry. Raises `NotFound`."""
        return await _get(self._database, id)

    async def effective(self) -> list[EntryDetails]:
        """The entries that change forecasts: closures and promotions."""
        return [Entry(*row).details for row in await self._database.fetch(_EFFECTIVE)]

    async def create(self, id: str, details: EntryDetails, request: IdempotentRequest | None) -> calendar_pb2.CalendarEntry:
        """Creates an entry. Raises `AlreadyExists`, `FailedPrecondition` if it overlaps another."""

        async def carry_out(transaction: Transaction) -> calendar_pb2.CalendarEntry:
            await _check(transaction, id, details)
            row = await transaction.fetch_row(_CREATE, id=id, **details._asdict())
            if row is None:
                raise AlreadyExists("calendar entry", id)
            return self._message(Entry(*row))

        return await self._once(request, carry_out)

    async def update(self, id: str, apply: Callable[[Entry], Entry], request: IdempotentRequest | None) -> calendar_pb2.CalendarEntry:
        """Saves what `apply` returns for the current entry. Raises `NotFound`, `FailedPrecondition` if it overlaps another."""

        async def carry_out(transaction: Transaction) -> calendar_pb2.CalendarEntry:
            current = await _get(transaction, id)
            changed = apply(current)
            if changed == current:
                return self._message(current)
            await _check(transaction, id, changed.details)
            [row] = await transaction.fetch(_SAVE, entry_id=id, **changed.details._asdict())
            return self._message(Entry(*row))

        return await self._once(request, carry_out)

    async def delete(self, id: str, etag: str, request: IdempotentRequest | None) -> calendar_pb2.CalendarEntry:
        """Deletes an entry, and returns it as it was. Raises `NotFound`, `Aborted` if `etag` is stale."""

        async def carry_out(transaction: Transaction) -> calendar_pb2.CalendarEntry:
            entry = (await _get(transaction, id)).update(etag)
            await transaction.execute(_DELETE, id=id)
            return self._message(entry)

        return await self._once(request, carry_out)

    async def upsert(self, rows: Sequence[Row], validate_only: bool) -> ImportReport:
        """Creates entries or replaces them, by id; if an id comes twice, the later row wins. validate_only: only says what it would do"""
        async with self._database.begin() as transaction:
            await transaction.fetch(_LOCK)
            known = {entry.id: entry.details for entry in (Entry(*row) for row in await transaction.fetch(_ALL))}
            wanted, faults = dict(known), list[RowFault]()
            for row in rows:
                try:
                    check_overlap(row.id, row.details, wanted.items())
                except StatusError as error:
                    faults.append(fault_of(row.number, error))
                else:
                    wanted[row.id] = row.details
            created = [id for id in wanted if id not in known]
            updated = [id for id in known if wanted[id] != known[id]]
            if not validate_only and (created or updated):
                for id in created:
                    await transaction.execute(_CREATE, id=id, **wanted[id]._asdict())
                for id in updated:
                    await transaction.execute(_SAVE, entry_id=id, **wanted[id]._asdict())
                await transaction.fetch(_NOTIFY)
        return ImportReport(len(created), len(updated), len(rows) - len(faults) - len(created) - len(updated), faults)

    async def delete_expired_requests(self, age: timedelta = RETENTION) -> None:
        """Deletes the idempotent requests older than `age`."""
        await requests.delete_expired(self._database, age)

    async def _once(self, request: IdempotentRequest | None, carry_out: Carried) -> calendar_pb2.CalendarEntry:
        async def write(transaction: Transaction) -> calendar_pb2.CalendarEntry:
            await transaction.fetch(_LOCK)
            message = await carry_out(transaction)
            await transaction.fetch(_NOTIFY)
            return message

        return await requests.once(self._database, request, calendar_pb2.CalendarEntry, write)


def fault_of(number: int, error: StatusError) -> RowFault:
    """The error of a row. In a file, a row is the entry itself."""
    field = error.violations[0].field.removeprefix("entry.") if error.violations else ""
    return RowFault(number, field, error.reason, error.message)


async def _get(executor: Database | Transaction, id: str) -> Entry:
    row = await executor.fetch_row(_GET, id=id)
    if row is None:
        raise NotFound("calendar entry", id)
    return Entry(*row)


async def _check(transaction: Transaction, id: str, details: EntryDetails) -> None:
    others = [Entry(*row) for row in await transaction.fetch(_PROMOTIONS)] if details.kind == "promotion" else []
    check_overlap(id, details, ((other.id, other.details) for other in others))
