"""Stores audit events."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from asyncpg import Record
from sqlalchemy import ARRAY, Integer, Interval, Select, bindparam, column, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from mesh.audit import AuditEvent
from mesh.database import Database
from services.auth.tables import audit_events

_COLUMNS = {column.name: column.type for column in audit_events.c}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()))
    .table_valued(*(column(name, type_) for name, type_ in _COLUMNS.items()))
    .render_derived("incoming")
)
_RECORD = insert(audit_events).from_select([*_COLUMNS], select(*(_incoming.c[name] for name in _COLUMNS))).on_conflict_do_nothing()
_DELETE_EXPIRED = delete(audit_events).where(audit_events.c.event_time < func.now() - bindparam("age", type_=Interval))
_EQUAL = ("subject", "resource", "rpc", "code")


class AuditEventRepository:
    """The audit events of all services."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, events: Sequence[AuditEvent]) -> None:
        """Stores events. Those that are stored already stay as they are."""
        await self._database.execute(_RECORD, **{name: [getattr(event, name) for event in events] for name in _COLUMNS})

    async def page(self, after: tuple[datetime, UUID] | None, limit: int, filters: dict[str, object]) -> list[Record]:
        """Events, latest first.

        after: the time and the id of the event before the first one; None to begin with the latest
        filters: values of `subject`, `resource`, `rpc` and `code`; the bounds `start_time` and `end_time`
        """
        parameters = {**filters, "limit": limit}
        if after is not None:
            parameters |= {"event_time": after[0], "id": after[1]}
        return await self._database.fetch(_page(frozenset(parameters)), **parameters)

    async def delete_expired(self, age: timedelta) -> None:
        """Deletes the events that are older."""
        await self._database.execute(_DELETE_EXPIRED, age=age)


@lru_cache
def _page(parameters: frozenset[str]) -> Select[tuple[object, ...]]:
    events = audit_events.c
    statement = select(audit_events).order_by(events.event_time.desc(), events.id.desc()).limit(bindparam("limit", type_=Integer))
    for name in parameters.intersection(_EQUAL):
        statement = statement.where(events[name] == bindparam(name))
    if "start_time" in parameters:
        statement = statement.where(events.event_time >= bindparam("start_time", type_=events.event_time.type))
    if "end_time" in parameters:
        statement = statement.where(events.event_time < bindparam("end_time", type_=events.event_time.type))
    if "id" in parameters:
        place = tuple_(bindparam("event_time", type_=events.event_time.type), bindparam("id", type_=events.id.type))
        statement = statement.where(tuple_(events.event_time, events.id) < place)
    return statement
