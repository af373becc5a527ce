"""Where events are kept."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Integer, Interval, bindparam, cast, column, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import TypeEngine

from mesh.database import Database, Transaction
from mesh.errors import InvalidArgument, Unauthenticated
from services.recommender.domain import Event, EventKind, Request
from services.recommender.tables import event_log, events, forgotten_users, requests, telling


class Recorded(NamedTuple):
    """An event, and its number among all events: they are numbered as they are recorded."""

    number: int
    event: Event


class EventRepository:
    """What users did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, user_id: str, done: Sequence[Event], request: Request | None) -> int:
        """Records events of a user; returns how many were new. A request that was carried out before is answered as it was then.

        Raises `InvalidArgument` if the request's id was used for another one, `Unauthenticated` if the user was deleted.
        """
        async with self._database.begin() as transaction:
            # Who comes at the same time with the same request waits here until this transaction ends.
            if request and not await transaction.execute(_CLAIM, user_id=user_id, request_id=request.id, digest=request.digest):
                return await _answered(transaction, user_id, request)
            last_number = await transaction.fetch_value(_NUMBER, count=len(done))
            if await transaction.fetch_value(_IS_FORGOTTEN, user_id=user_id):
                raise Unauthenticated("TOKEN_INVALID", "the user was deleted")
            columns = {name: list(values) for name, values in zip(Event._fields, zip(*done, strict=True), strict=True)}
            recorded = await transaction.execute(_RECORD, before=last_number - len(done), **columns)
            if request:
                await transaction.execute(_REMEMBER, user_id=user_id, request_id=request.id, recorded_count=recorded)
            return recorded

    async def of_user(self, user_id: str) -> list[Event]:
        """What a user did last, the latest first, but for what was merely shown."""
        return [_event(row) for row in await self._database.fetch(_OF_USER, user_id=user_id, limit=_TELLING)]

    async def of_customer(self, customer_number: str) -> list[Event]:
        """The same of a customer of the sales history."""
        return [_event(row) for row in await self._database.fetch(_OF_CUSTOMER, customer_number=customer_number, limit=_TELLING)]

    async def after(self, number: int, limit: int) -> list[Recorded]:
        """The events that follow this number, in the order in which they were recorded."""
        rows = await self._database.fetch(_AFTER, after=number, limit=limit)
        return [Recorded(number, _event(fields)) for number, *fields in rows]

    async def forget(self, user_id: str) -> None:
        """Removes whatever is known of a user, and what may still be on its way."""
        async with self._database.begin() as transaction:
            # Whoever is recording has done so, or will find the user forgotten.
            await transaction.fetch_value(_NUMBER, count=0)
            for statement in (_FORGET, _FORGET_EVENTS, _FORGET_REQUESTS):
                await transaction.execute(statement, user_id=user_id)

    async def sweep(self, age: timedelta) -> None:
        """Forgets requests that are older, and of whom nothing can come any more."""
        for statement in (_SWEEP_REQUESTS, _SWEEP_FORGOTTEN):
            await self._database.execute(statement, age=age)


# As many events as tell enough of somebody.
_TELLING = 500

_EVENT = [events.c[field] for field in Event._fields]
_LIMIT = bindparam("limit", type_=Integer)
_LATEST = select(*_EVENT).where(telling).order_by(events.c.number.desc()).limit(_LIMIT)
_OF_USER = _LATEST.where(events.c.user_id == bindparam("user_id"))
_OF_CUSTOMER = _LATEST.where(events.c.customer_number == bindparam("customer_number"), events.c.customer_number != "")
_AFTER = (
    select(events.c.number, *_EVENT).where(events.c.number > bindparam("after", type_=BigInteger)).order_by(events.c.number).limit(_LIMIT)
)

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

_of_user = requests.c.user_id == bindparam("user_id")
_same_request = _of_user & (requests.c.request_id == bindparam("request_id"))
_CLAIM = (
    insert(requests)
    .values(user_id=bindparam("user_id"), request_id=bindparam("request_id"), digest=bindparam("digest"))
    .on_conflict_do_nothing()
)
_REMEMBER = update(requests).where(_same_request).values(recorded_count=bindparam("recorded_count", type_=Integer))
_ANSWERED = select(requests.c.digest, requests.c.recorded_count).where(_same_request)

_IS_FORGOTTEN = select(exists().where(forgotten_users.c.user_id == bindparam("user_id")))
_FORGET = insert(forgotten_users).values(user_id=bindparam("user_id")).on_conflict_do_nothing()
_FORGET_EVENTS = delete(events).where(events.c.user_id == bindparam("user_id"))
_FORGET_REQUESTS = delete(requests).where(_of_user)

_since = func.now() - bindparam("age", type_=Interval)
_SWEEP_REQUESTS = delete(requests).where(requests.c.create_time < _since)
_SWEEP_FORGOTTEN = delete(forgotten_users).where(forgotten_users.c.forget_time < _since)


async def _answered(transaction: Transaction, user_id: str, request: Request) -> int:
    [(digest, recorded)] = await transaction.fetch(_ANSWERED, user_id=user_id, request_id=request.id)
    if digest != request.digest:
        raise InvalidArgument("request_id was used before for another request", field="request_id", reason="REQUEST_ID_REUSED")
    return int(recorded)


def _event(row: Iterable[Any]) -> Event:
    event = Event(*row)
    return event._replace(kind=EventKind(event.kind))
