"""The queries on recorded events."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Integer, Interval, bindparam, cast, column, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import TypeEngine

from mesh.database import Database, Transaction
from mesh.errors import Unauthenticated
from mesh.idempotency import RETENTION, IdempotentRequest
from services.recommender.domain import Event, EventKind
from services.recommender.repository.participants import forget_participant, hand_over_participant
from services.recommender.tables import event_log, events, exposures, forgotten_users, is_user_action, requests, visitors

# How many events of a user or customer recommendations take into account.
_MAX_RECENT_EVENTS = 500
# How many visitors expire at a time.
_EXPIRY_BATCH = 1000
_ORDINALITY = "ordinality"

_EVENT = [events.c[field] for field in Event._fields]
_LIMIT = bindparam("limit", type_=Integer)
_LATEST = select(*_EVENT).where(is_user_action).order_by(events.c.number.desc()).limit(_LIMIT)
_LATEST_OF_USER = _LATEST.where(events.c.user_id == bindparam("user_id"))
_LATEST_OF_SHOPPER = _LATEST.where(
    (events.c.user_id == bindparam("user_id"))
    | ((events.c.customer_number == bindparam("customer_number")) & (events.c.customer_number != ""))
)
_LATEST_OF_CUSTOMER = _LATEST.where(events.c.customer_number == bindparam("customer_number"), events.c.customer_number != "")
_after, _through = bindparam("after", type_=BigInteger), bindparam("through", type_=BigInteger)
_EVENTS_BETWEEN = (
    select(events.c.number, *_EVENT)
    .where(events.c.number > _after, events.c.number <= _through, events.c.counts_for_others)
    .order_by(events.c.number)
    .limit(_LIMIT)
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
    .table_valued(*(column(name, type_) for name, type_ in _COLUMNS.items()), with_ordinality=_ORDINALITY)
    .render_derived("incoming")
)
_numbered = select(
    cast(bindparam("before"), BigInteger) + _incoming.c[_ORDINALITY], *(_incoming.c[field] for field in Event._fields)
).where(~exists().where(forgotten_users.c.user_id == _incoming.c.user_id))
# An event that is there already, by its id or as a line of an order, is left out.
_RECORD = insert(events).from_select(["number", *Event._fields], _numbered).on_conflict_do_nothing()

_HAS_UNNUMBERED = select(exists().where(forgotten_users.c.number.is_(None)).select_from(forgotten_users))
_unnumbered = (
    select(forgotten_users.c.user_id, func.row_number().over().label("position"))
    .where(forgotten_users.c.number.is_(None))
    .cte("unnumbered")
)
_log = (
    update(event_log)
    .values(last_number=event_log.c.last_number + select(func.count()).select_from(_unnumbered).scalar_subquery())
    .returning(event_log.c.last_number)
    .cte("log")
)
_NUMBER_FORGOTTEN = (
    update(forgotten_users)
    .where(forgotten_users.c.user_id == _unnumbered.c.user_id, forgotten_users.c.number.is_(None))
    .values(number=_log.c.last_number - _unnumbered.c.position + 1)
)
_IS_FORGOTTEN = select(exists().where(forgotten_users.c.user_id == bindparam("user_id")))
_FORGET_USER = insert(forgotten_users).values(user_id=bindparam("user_id"), number=bindparam("number")).on_conflict_do_nothing()
_DELETE_EVENTS = delete(events).where(events.c.user_id == bindparam("user_id"))
_DELETE_EXPOSURES = delete(exposures).where(exposures.c.user_id == bindparam("user_id"))
_DELETE_VISITOR = delete(visitors).where(visitors.c.visitor_id == bindparam("user_id"))

_visit = insert(visitors).values(visitor_id=bindparam("visitor_id"))
_VISIT = _visit.on_conflict_do_update(index_elements=["visitor_id"], set_={"visit_time": func.now()})
_EXPIRED_VISITORS = (
    select(visitors.c.visitor_id).where(visitors.c.visit_time < func.now() - bindparam("age", type_=Interval)).limit(_EXPIRY_BATCH)
)

_COUNT_EVENTS = select(func.count()).select_from(events).where(events.c.user_id == bindparam("user_id"))
_own = events.alias("own")
_same_line = (_own.c.order_id != "") & (_own.c.order_id == events.c.order_id)
_same_line &= (_own.c.product_id == events.c.product_id) & (_own.c.kind == events.c.kind) & ~_own.c.counts_for_others
# What the user has already, under the same id or as the same line of an order.
_DELETE_REPEATED = delete(events).where(
    events.c.user_id == bindparam("visitor_id"),
    exists().where(_own.c.user_id == bindparam("new_user_id"), (_own.c.id == events.c.id) | (_same_line & ~events.c.counts_for_others)),
)
_moved = (
    select(events.c.number, func.row_number().over(order_by=events.c.number).label("place"))
    .where(events.c.user_id == bindparam("visitor_id"))
    .cte("moved")
)
_HAND_OVER_EVENTS = (
    update(events)
    .where(events.c.number == _moved.c.number)
    .values(
        user_id=bindparam("new_user_id"),
        customer_number=bindparam("new_customer_number"),
        number=cast(bindparam("before"), BigInteger) + _moved.c.place,
    )
)
# Copies under the visitor's id are removed; without a number, the lists are exported anew.
_HAND_OVER_EXPOSURES = (
    update(exposures).where(exposures.c.user_id == bindparam("visitor_id")).values(user_id=bindparam("new_user_id"), number=None)
)


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

    async def record(self, new: Sequence[Event], request: IdempotentRequest | None, *, user_id: str = "", is_visitor: bool = False) -> int:
        """Records events; returns how many were new. A repeated request returns the answer to the first.

        Events of deleted users are left out.

        user_id: of the user or visitor who records them; empty for an order system
        Raises `InvalidArgument` if the request's id was used for another request, `Unauthenticated` if the user was deleted.
        """
        async with self._database.begin() as transaction:
            earlier_answer: int | None = await requests.claim(transaction, request)
            if earlier_answer is not None:
                return earlier_answer
            last_number = await transaction.fetch_value(_TAKE_NUMBERS, count=len(new))
            if user_id and await transaction.fetch_value(_IS_FORGOTTEN, user_id=user_id):
                raise Unauthenticated("TOKEN_INVALID", "the user was deleted")
            columns = {name: list(values) for name, values in zip(Event._fields, zip(*new, strict=True), strict=True)}
            recorded = await transaction.execute(_RECORD, before=last_number - len(new), **columns)
            if is_visitor:
                await transaction.execute(_VISIT, visitor_id=user_id)
            await requests.answer(transaction, request, recorded)
            return recorded

    async def latest_of_shopper(self, user_id: str, customer_number: str) -> list[Event]:
        """The latest events of a user or visitor without impressions, also those under their customer number, latest first."""
        if not customer_number:
            return await self.latest_of_user(user_id)
        arguments = {"user_id": user_id, "customer_number": customer_number, "limit": _MAX_RECENT_EVENTS}
        return [_event(row) for row in await self._database.fetch(_LATEST_OF_SHOPPER, **arguments)]

    async def latest_of_user(self, user_id: str) -> list[Event]:
        """The latest events of a user without impressions, latest first."""
        return [_event(row) for row in await self._database.fetch(_LATEST_OF_USER, user_id=user_id, limit=_MAX_RECENT_EVENTS)]

    async def latest_of_customer(self, customer_number: str) -> list[Event]:
        """The latest events under a customer number without impressions, latest first."""
        rows = await self._database.fetch(_LATEST_OF_CUSTOMER, customer_number=customer_number, limit=_MAX_RECENT_EVENTS)
        return [_event(row) for row in rows]

    async def page_after(self, number: int, limit: int) -> EventPage:
        """The log after a number, in the order of recording: up to `limit` events, and the users forgotten meanwhile."""
        if await self._database.fetch_value(_HAS_UNNUMBERED):
            await self._database.execute(_NUMBER_FORGOTTEN)
        # Entries up to this number are visible; later ones may be committed between the two queries, and belong to the next page.
        last = await self._database.fetch_value(_LAST_NUMBER)
        rows = await self._database.fetch(_EVENTS_BETWEEN, after=number, through=last, limit=limit + 1)
        has_more = len(rows) > limit
        through = rows[limit - 1]["number"] if has_more else last
        forgotten = await self._database.fetch(_FORGOTTEN_BETWEEN, after=number, through=through)
        return EventPage([_event(fields) for _, *fields in rows[:limit]], [user_id for (user_id,) in forgotten], through, has_more)

    async def forget_user(self, user_id: str) -> None:
        """Deletes the events, exposures and requests of a user or visitor, and rejects later ones."""
        async with self._database.begin() as transaction:
            await _forget(transaction, user_id)

    async def hand_over(self, visitor_id: str, user_id: str, customer_number: str) -> None:
        """Makes the events and exposures of a visitor a user's, and rejects later events of the visitor.

        Copies of the events are removed as if the visitor were forgotten, and those of the user are listed anew.
        """
        async with self._database.begin() as transaction:
            # As in `_forget`, the log is locked first.
            await transaction.fetch_value(_TAKE_NUMBERS, count=0)
            if not await transaction.fetch_value(_IS_FORGOTTEN, user_id=user_id):
                await _move(transaction, visitor_id, user_id, customer_number)
            await _forget(transaction, visitor_id)

    async def forget_expired_visitors(self, age: timedelta) -> None:
        """Forgets visitors who were not here for so long, one after another, so that nobody waits long for the log."""
        for row in await self._database.fetch(_EXPIRED_VISITORS, age=age):
            await self.forget_user(row["visitor_id"])

    async def delete_expired_requests(self, age: timedelta = RETENTION) -> None:
        """Deletes the idempotent requests that are older."""
        await requests.delete_expired(self._database, age)


async def _forget(transaction: Transaction, user_id: str) -> None:
    # Taking a number locks the log: a concurrent `record` has either committed, or finds the user forgotten.
    number = await transaction.fetch_value(_TAKE_NUMBERS, count=1)
    await transaction.execute(_FORGET_USER, user_id=user_id, number=number)
    for statement in (_DELETE_EVENTS, _DELETE_EXPOSURES, _DELETE_VISITOR):
        await transaction.execute(statement, user_id=user_id)
    await forget_participant(transaction, user_id)
    await requests.forget(transaction, user_id)


async def _move(transaction: Transaction, visitor_id: str, user_id: str, customer_number: str) -> None:
    """Makes a visitor's events and exposures a user's."""
    await transaction.execute(_DELETE_REPEATED, visitor_id=visitor_id, new_user_id=user_id)
    count = await transaction.fetch_value(_COUNT_EVENTS, user_id=visitor_id)
    # The first number is that of the visitor, whose copies have to be gone before those of the user come.
    last_number = await transaction.fetch_value(_TAKE_NUMBERS, count=count + 1)
    await transaction.execute(_FORGET_USER, user_id=visitor_id, number=last_number - count)
    await transaction.execute(
        _HAND_OVER_EVENTS, visitor_id=visitor_id, new_user_id=user_id, new_customer_number=customer_number, before=last_number - count
    )
    await transaction.execute(_HAND_OVER_EXPOSURES, visitor_id=visitor_id, new_user_id=user_id)
    await hand_over_participant(transaction, visitor_id, user_id, customer_number)


def _event(row: Iterable[Any]) -> Event:
    event = Event(*row)
    return event._replace(kind=EventKind(event.kind))
