"""The queries on exposures."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, DateTime, Integer, Interval, Text, bindparam, cast, column, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql import Select
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import TypeEngine

from mesh.database import Database
from services.recommender.domain import EventKind, ExposedProduct, Exposure
from services.recommender.repository.participants import record_participants
from services.recommender.tables import events, exposures, forgotten_users, visitors

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

    async def page(self, user_id: str, slot: str, before_id: str, limit: int) -> list[Exposure]:
        """Lists, latest first: those of one user or visitor, in one slot, before an id; an empty text is no condition."""
        conditions = {name: value for name, value in (("user_id", user_id), ("slot", slot), ("before_id", before_id)) if value}
        rows = await self._database.fetch(_page(frozenset(conditions)), **conditions, limit=limit)
        return [Exposure(*row)._replace(products=tuple(ExposedProduct(*product) for product in row["products"])) for row in rows]

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


@lru_cache
def _page(conditions: frozenset[str]) -> Select[Any]:
    statement = select(*(exposures.c[name] for name in _TYPES))
    for name in sorted(conditions):
        bound = bindparam(name, type_=Text)
        statement = statement.where(exposures.c.id < bound if name == "before_id" else exposures.c[name] == bound)
    return statement.order_by(exposures.c.id.desc()).limit(bindparam("limit", type_=Integer))
