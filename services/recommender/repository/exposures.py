"""The queries on exposures."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, DateTime, Integer, Interval, Text, bindparam, cast, column, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql import Select
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.expression import BindParameter, ColumnElement
from sqlalchemy.types import TypeEngine

from mesh.database import Database
from services.recommender.domain import EventKind, ExposedProduct, Exposure
from services.recommender.repository.participants import record_participants
from services.recommender.tables import events, exposure_log, exposures, forgotten_users, rules_of_products, visitors

# A visitor who comes back is noticed once in this time.
_VISIT_INTERVAL = timedelta(hours=1)

_TYPES: dict[str, TypeEngine[Any]] = {
    "id": Text(),
    "user_id": Text(),
    "slot": Text(),
    "model_version": Text(),
    "fallback_step": Text(),
    "create_time": DateTime(timezone=True),
    "first_position": Integer(),
    "experiment_id": Text(),
    "arm": Text(),
    "products": Text(),
}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _TYPES.items()))
    .table_valued(*(column(name, type_) for name, type_ in _TYPES.items()))
    .render_derived("incoming")
)
_values = [cast(_incoming.c[name], JSONB) if name == "products" else _incoming.c[name] for name in _TYPES]
# A token outlives its user: what is shown to a deleted user, or to a visitor who has become one, leaves no trace.
_not_forgotten = ~exists().where(forgotten_users.c.user_id == _incoming.c.user_id)
_RECORD: Insert = insert(exposures).from_select(list(_TYPES), select(*_values).where(_not_forgotten)).on_conflict_do_nothing()
_VISIT = (
    update(visitors)
    .where(
        visitors.c.visitor_id == func.any(bindparam("user_ids", type_=ARRAY(Text))), visitors.c.visit_time < func.now() - _VISIT_INTERVAL
    )
    .values(visit_time=func.now())
)
_DELETE_EXPIRED = delete(exposures).where(exposures.c.create_time < func.now() - bindparam("age", type_=Interval))
_ATTRIBUTED = (
    select(events.c.recommendation_id, events.c.user_id, events.c.product_id, events.c.kind)
    .where(events.c.recommendation_id == func.any(bindparam("ids", type_=ARRAY(Text))))
    .distinct()
)

_LIMIT = bindparam("limit", type_=Integer)
# Numbers are given when the log is read, and not when lists are recorded, so that no recording waits for another. Who gives them locks
# the log until they are visible: a reader who sees the last number sees those before it.
_unnumbered = (
    select(exposures.c.id)
    .where(exposures.c.number.is_(None), exposures.c.create_time < bindparam("before", type_=DateTime(timezone=True)))
    .order_by(exposures.c.id)
    .limit(_LIMIT)
    .subquery()
)
_following = select(_unnumbered.c.id, func.row_number().over(order_by=_unnumbered.c.id).label("place")).cte("following")
_log = (
    update(exposure_log)
    .values(last_number=exposure_log.c.last_number + select(func.count()).select_from(_following).scalar_subquery())
    .returning(exposure_log.c.last_number)
    .cte("log")
)
_count = select(func.count()).select_from(_following).scalar_subquery()
_NUMBER = (
    update(exposures)
    .where(exposures.c.id == _following.c.id, exposures.c.number.is_(None))
    .values(number=_log.c.last_number - _count + _following.c.place)
)
_LAST_NUMBER = select(exposure_log.c.last_number)
_BETWEEN = (
    select(exposures.c.number, *(exposures.c[name] for name in _TYPES))
    .where(
        exposures.c.number > bindparam("after", type_=BigInteger),
        exposures.c.number <= bindparam("through", type_=BigInteger),
        ~exists().where(forgotten_users.c.user_id == exposures.c.user_id),
    )
    .order_by(exposures.c.number)
    .limit(_LIMIT)
)


class ExposureLogPage(NamedTuple):
    """A page of the log of exposures."""

    exposures: list[Exposure]
    through: int
    """The number of the log's last list on this page."""
    has_more: bool


class ExposureRepository:
    """Lists that were made for users and visitors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, new: Sequence[Exposure]) -> None:
        """Records lists, and by them who took part in experiments and which visitors were here.

        Those of forgotten users are left out, and a list that is there already stays as it is.
        """
        rows = [(*exposure[: len(_TYPES) - 1], json.dumps(exposure.products)) for exposure in new]
        columns = {name: list(values) for name, values in zip(_TYPES, zip(*rows, strict=True), strict=True)}
        async with self._database.begin() as transaction:
            await transaction.execute(_RECORD, **columns)
            await record_participants(transaction, new)
        await self._database.execute(_VISIT, user_ids=sorted({exposure.user_id for exposure in new}))

    async def page(self, conditions: Mapping[str, str], before_id: str, limit: int) -> list[Exposure]:
        """Lists, latest first, before an id.

        conditions: values of columns, and `rule_id`, of a rule that moved one of the products; an empty text is no condition, nor is an
        empty `before_id`
        """
        given = {name: value for name, value in (*conditions.items(), ("before_id", before_id)) if value}
        rows = await self._database.fetch(_page(frozenset(given)), **given, limit=limit)
        return [_exposure(row) for row in rows]

    async def log_page(self, after: int, before: datetime, limit: int) -> ExposureLogPage:
        """The log after a number: up to `limit` lists, which were made before a time."""
        await self._database.execute(_NUMBER, before=before, limit=limit + 1)
        last = await self._database.fetch_value(_LAST_NUMBER)
        rows = await self._database.fetch(_BETWEEN, after=after, through=last, limit=limit + 1)
        has_more = len(rows) > limit
        through = rows[limit - 1]["number"] if has_more else last
        return ExposureLogPage([_exposure(fields) for _, *fields in rows[:limit]], through, has_more)

    async def attributions(self, page: Iterable[Exposure]) -> dict[tuple[str, str], set[EventKind]]:
        """What shoppers did with products from their lists, by list and product. Nothing else than they were shown counts."""
        shown = {(exposure.id, exposure.user_id, product.product_id) for exposure in page for product in exposure.products}
        kinds: dict[tuple[str, str], set[EventKind]] = {}
        for row in await self._database.fetch(_ATTRIBUTED, ids=sorted({id for id, _, _ in shown})):
            id, user_id, product_id, kind = row
            if (id, user_id, product_id) in shown:
                kinds.setdefault((id, product_id), set()).add(EventKind(kind))
        return kinds

    async def delete_expired(self, age: timedelta) -> None:
        """Deletes the lists that are older."""
        await self._database.execute(_DELETE_EXPIRED, age=age)


def _exposure(row: Iterable[Any]) -> Exposure:
    exposure = Exposure(*row)
    return exposure._replace(products=tuple(ExposedProduct(*product) for product in exposure.products))


@lru_cache
def _page(conditions: frozenset[str]) -> Select[Any]:
    statement = select(*(exposures.c[name] for name in _TYPES))
    for name in sorted(conditions):
        statement = statement.where(_condition(name, bindparam(name, type_=Text)))
    return statement.order_by(exposures.c.id.desc()).limit(_LIMIT)


def _condition(name: str, value: BindParameter[str]) -> ColumnElement[bool]:
    match name:
        case "before_id":
            return exposures.c.id < value
        case "rule_id":
            return rules_of_products.bool_op("?")(value)
        case _:
            return exposures.c[name] == value
