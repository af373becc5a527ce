"""The queries on recorded events."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Integer, bindparam, cast, column, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import TypeEngine

from mesh.database import Database
from mesh.errors import Unauthenticated
from mesh.idempotency import RETENTION, IdempotentRequest
from services.recommender.domain import Event, EventKind
from services.recommender.tables import event_log, events, forgotten_users, is_user_action, requests

# How many events of a user or customer recommendations take into account.
_MAX_RECENT_EVENTS = 500

_EVENT = [events.c[field] for field in Event._fields]
_LIMIT = bindparam("limit", type_=Integer)
_LATEST = select(*_EVENT).where(is_user_action).order_by(events.c.number.desc()).limit(_LIMIT)
_LATEST_OF_USER = _LATEST.where(events.c.user_id == bindparam("user_id"))
_LATEST_OF_CUSTOMER = _LATEST.where(events.c.customer_number == bindparam("customer_number"), events.c.customer_number != "")
_after, _through = bindparam("after", type_=BigInteger), bindparam("through", type_=BigInteger)
_EVENTS_BETWEEN = (
    select(events.c.number, *_EVENT).where(events.c.number > _after, events.c.number <= _through).order_by(events.c.number).limit(_LIMIT)
)
_FORGOTTEN_BETWEEN = (
    select(forgotten_users.c.user_id)
    .where(forgotten_users.c.number > _after, forgotten_users.c.number <= _through)
    .order_by(forgotten_users.c.number)
)
_LAST_NUMBER = select(event_log.c.last_number)

_TAKE_NUMBERS = (
    update(event_log).values(last_number=event_log.c.last_number + bindparam("count", type_=Integer)).returning(event_log.c.last_number)
)
_COLUMNS: dict[str, TypeEngine[Any]] = {field: events.c[field].type for field in Event._fields}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()))
    .table_valued(*(column(name, type_) for name, type_ in _COLUMNS.items()), with_ordinality="position")
    .render_derived("incoming")
)
_numbered = select(cast(bindparam("before"), BigInteger) + _incoming.c.position, *(_incoming.c[field] for field in Event._fields))
_RECORD = insert(events).from_select(["number", *Event._fields], _numbered).on_conflict_do_nothing(index_elements=["user_id", "id"])

_IS_FORGOTTEN = select(exists().where(forgotten_users.c.user_id == bindparam("user_id")))
_FORGET_USER = insert(forgotten_users).values(user_id=bindparam("user_id"), number=bindparam("number")).on_conflict_do_nothing()
_DELETE_EVENTS = delete(events).where(events.c.user_id == bindparam("user_id"))


class EventPage(NamedTuple):
    """A page of the event log."""

    events: list[Event]
    forgotten_user_ids: list[str]
    through: int
    """The number of the log's last entry on this page."""
    has_more: bool


class EventRepository:
    """The event log: recorded events and forgotten users, in one sequence of numbers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, user_id: str, new: Sequence[Event], request: IdempotentRequest | None) -> int:
        """Records events of a user; returns how many were new. A repeated request returns the answer to the first.

        Raises `InvalidArgument` if the request's id was used for another request, `Unauthenticated` if the user was deleted.
        """
        async with self._database.begin() as transaction:
            earlier_answer: int | None = await requests.claim(transaction, request)
            if earlier_answer is not None:
                return earlier_answer
            last_number = await transaction.fetch_value(_TAKE_NUMBERS, count=len(new))
            if await transaction.fetch_value(_IS_FORGOTTEN, user_id=user_id):
                raise Unauthenticated("TOKEN_INVALID", "the user was deleted")
            columns = {name: list(values) for name, values in zip(Event._fields, zip(*new, strict=True), strict=True)}
            recorded = await transaction.execute(_RECORD, before=last_number - len(new), **columns)
            await requests.answer(transaction, request, recorded)
            return recorded

    async def latest_of_user(self, user_id: str) -> list[Event]:
        """The latest events of a user without impressions, latest first."""
        return [_event(row) for row in await self._database.fetch(_LATEST_OF_USER, user_id=user_id, limit=_MAX_RECENT_EVENTS)]

    async def latest_of_customer(self, customer_number: str) -> list[Event]:
        """The latest events under a customer number without impressions, latest first."""
        rows = await self._database.fetch(_LATEST_OF_CUSTOMER, customer_number=customer_number, limit=_MAX_RECENT_EVENTS)
        return [_event(row) for row in rows]

    async def page_after(self, number: int, limit: int) -> EventPage:
        """The log after a number, in the order of recording: up to `limit` events, and the users forgotten meanwhile."""
        # Entries up to this number are visible; later ones may be committed between the two queries, and belong to the next page.
        last = await self._database.fetch_value(_LAST_NUMBER)
        rows = await self._database.fetch(_EVENTS_BETWEEN, after=number, through=last, limit=limit + 1)
        has_more = len(rows) > limit
        through = rows[limit - 1]["number"] if has_more else last
        forgotten = await self._database.fetch(_FORGOTTEN_BETWEEN, after=number, through=through)
        return EventPage([_event(fields) for _, *fields in rows[:limit]], [user_id for (user_id,) in forgotten], through, has_more)

    async def forget_user(self, user_id: str) -> None:
        """Deletes the events and requests of a user, and rejects later ones."""
        async with self._database.begin() as transaction:
            # Taking a number locks the log: a concurrent `record` has either committed, or finds the user forgotten.
            number = await transaction.fetch_value(_TAKE_NUMBERS, count=1)
            await transaction.execute(_FORGET_USER, user_id=user_id, number=number)
            await transaction.execute(_DELETE_EVENTS, user_id=user_id)
            await requests.forget(transaction, user_id)

    async def delete_expired_requests(self, age: timedelta = RETENTION) -> None:
        """Deletes the idempotent requests that are older."""
        await requests.delete_expired(self._database, age)


def _event(row: Iterable[Any]) -> Event:
    event = Event(*row)
    return event._replace(kind=EventKind(event.kind))
