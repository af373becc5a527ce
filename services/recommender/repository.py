"""Where events are kept."""

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
from services.recommender.tables import event_log, events, forgotten_users, requests, telling


class Told(NamedTuple):
    """What happened from one number to another, that included: the events that are known, and who was forgotten."""

    events: list[Event]
    forgotten: list[str]
    through: int
    has_more: bool


class EventRepository:
    """What users did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, user_id: str, done: Sequence[Event], request: IdempotentRequest | None) -> int:
        """Records events of a user; returns how many were new. A request that was carried out before is answered as it was then.

        Raises `InvalidArgument` if the request's id was used for another one, `Unauthenticated` if the user was deleted.
        """
        async with self._database.begin() as transaction:
            earlier: int | None = await requests.claim(transaction, request)
            if earlier is not None:
                return earlier
            last_number = await transaction.fetch_value(_NUMBER, count=len(done))
            if await transaction.fetch_value(_IS_FORGOTTEN, user_id=user_id):
                raise Unauthenticated("TOKEN_INVALID", "the user was deleted")
            columns = {name: list(values) for name, values in zip(Event._fields, zip(*done, strict=True), strict=True)}
            recorded = await transaction.execute(_RECORD, before=last_number - len(done), **columns)
            await requests.answer(transaction, request, recorded)
            return recorded

    async def of_user(self, user_id: str) -> list[Event]:
        """What a user did last, the latest first, but for what was merely shown."""
        return [_event(row) for row in await self._database.fetch(_OF_USER, user_id=user_id, limit=_TELLING)]

    async def of_customer(self, customer_number: str) -> list[Event]:
        """The same of a customer of the sales history."""
        return [_event(row) for row in await self._database.fetch(_OF_CUSTOMER, customer_number=customer_number, limit=_TELLING)]

    async def after(self, number: int, limit: int) -> Told:
        """What happened after this number, at the most so many events, in the order in which they were recorded."""
        # All that has a number up to this one can be seen, and what comes later is left for later.
        last = await self._database.fetch_value(_LAST_NUMBER)
        rows = await self._database.fetch(_AFTER, after=number, through=last, limit=limit + 1)
        has_more = len(rows) > limit
        through = rows[limit - 1]["number"] if has_more else last
        forgotten = await self._database.fetch(_FORGOTTEN_AFTER, after=number, through=through)
        return Told([_event(fields) for _, *fields in rows[:limit]], [user_id for (user_id,) in forgotten], through, has_more)

    async def forget(self, user_id: str) -> None:
        """Removes whatever is known of a user, and what may still be on its way."""
        async with self._database.begin() as transaction:
            # Whoever is recording has done so, or will find the user forgotten.
            number = await transaction.fetch_value(_NUMBER, count=1)
            await transaction.execute(_FORGET, user_id=user_id, number=number)
            await transaction.execute(_FORGET_EVENTS, user_id=user_id)
            await requests.forget(transaction, user_id)

    async def delete_expired(self, request_age: timedelta = RETENTION) -> None:
        """Deletes the requests that are older."""
        await requests.delete_expired(self._database, request_age)


# As many events as tell enough of somebody.
_TELLING = 500

_EVENT = [events.c[field] for field in Event._fields]
_LIMIT = bindparam("limit", type_=Integer)
_LATEST = select(*_EVENT).where(telling).order_by(events.c.number.desc()).limit(_LIMIT)
_OF_USER = _LATEST.where(events.c.user_id == bindparam("user_id"))
_OF_CUSTOMER = _LATEST.where(events.c.customer_number == bindparam("customer_number"), events.c.customer_number != "")
_after, _through = bindparam("after", type_=BigInteger), bindparam("through", type_=BigInteger)
_AFTER = (
    select(events.c.number, *_EVENT).where(events.c.number > _after, events.c.number <= _through).order_by(events.c.number).limit(_LIMIT)
)
_FORGOTTEN_AFTER = (
    select(forgotten_users.c.user_id)
    .where(forgotten_users.c.number > _after, forgotten_users.c.number <= _through)
    .order_by(forgotten_users.c.number)
)
_LAST_NUMBER = select(event_log.c.last_number)

_NUMBER = (
    update(event_log).values(last_number=event_log.c.last_number + bindparam("count", type_=Integer)).returning(event_log.c.last_number)
)
_COLUMNS: dict[str, TypeEngine[Any]] = {field: events.c[field].type for field in Event._fields}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()))
    .table_valued(*(column(name, type_) for name, type_ in _COLUMNS.items()), with_ordinality="place")
    .render_derived("incoming")
)
_numbered = select(cast(bindparam("before"), BigInteger) + _incoming.c.place, *(_incoming.c[field] for field in Event._fields))
_RECORD = insert(events).from_select(["number", *Event._fields], _numbered).on_conflict_do_nothing(index_elements=["user_id", "id"])

_IS_FORGOTTEN = select(exists().where(forgotten_users.c.user_id == bindparam("user_id")))
_FORGET = insert(forgotten_users).values(user_id=bindparam("user_id"), number=bindparam("number")).on_conflict_do_nothing()
_FORGET_EVENTS = delete(events).where(events.c.user_id == bindparam("user_id"))


def _event(row: Iterable[Any]) -> Event:
    event = Event(*row)
    return event._replace(kind=EventKind(event.kind))
