"""The queries on lists that versions made in shadow."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, DateTime, Double, Float, Integer, Interval, Text, bindparam, case, cast, column, delete, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.types import TypeEngine

from mesh.database import Database
from services.recommender.domain import EventKind, ExposedProduct
from services.recommender.tables import events, exposures, shadow_lists

_TYPES: dict[str, TypeEngine[Any]] = {
    "id": Text(),
    "model_version": Text(),
    "create_time": DateTime(timezone=True),
    "overlap": Double(),
    "milliseconds": Double(),
    "shown_milliseconds": Double(),
    "error": Text(),
    "product_ids": Text(),
}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _TYPES.items()))
    .table_valued(*(column(name, type_) for name, type_ in _TYPES.items()))
    .render_derived("incoming")
)
_values = [cast(_incoming.c[name], JSONB) if name == "product_ids" else _incoming.c[name] for name in _TYPES]
_RECORD = insert(shadow_lists).from_select(list(_TYPES), select(*_values)).on_conflict_do_nothing()

_is_of_version = shadow_lists.c.model_version == bindparam("model_version", type_=Text)
_has_failed = shadow_lists.c.error != ""
_percentiles = (
    func.coalesce(func.percentile_cont(share).within_group(shadow_lists.c[name]).filter(~_has_failed), 0.0)
    for name in ("shown_milliseconds", "milliseconds")
    for share in (0.5, 0.95)
)
_failures = shadow_lists.alias("failures")
_last_error = (
    select(_failures.c.error)
    .where(_failures.c.model_version == bindparam("model_version", type_=Text), _failures.c.error != "")
    .order_by(_failures.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_SUMMARY = select(
    func.count().filter(~_has_failed),
    func.count().filter(_has_failed),
    func.coalesce(_last_error, ""),
    func.coalesce(func.avg(shadow_lists.c.overlap).filter(~_has_failed), 0.0),
    *_percentiles,
).where(_is_of_version)
_COUNT = select(func.count()).where(_is_of_version, ~_has_failed).select_from(shadow_lists)
_LATEST = (
    select(shadow_lists.c.id, exposures.c.user_id, exposures.c.products, shadow_lists.c.product_ids)
    .join(exposures, exposures.c.id == shadow_lists.c.id)
    .where(_is_of_version, ~_has_failed)
    .order_by(shadow_lists.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_CLICKS = [EventKind.CLICK, EventKind.CART, EventKind.WISHLIST, EventKind.PURCHASE]
_amount = cast(events.c.quantity, Float) * func.coalesce(events.c.unit_price_cents, 0)
# Of an order that both the shopper and an order system report, what the latter says counts; what shoppers say alone does not.
_revenue = case(
    ((events.c.kind == "purchase") & events.c.counts_for_others, _amount),
    ((events.c.kind == "return") & events.c.counts_for_others, -_amount),
    else_=0.0,
)
_REWARDS = (
    select(
        events.c.recommendation_id,
        events.c.user_id,
        events.c.product_id,
        func.bool_or(or_(*(events.c.kind == kind.value for kind in _CLICKS))),
        func.sum(_revenue),
    )
    .where(events.c.recommendation_id == func.any(bindparam("ids", type_=ARRAY(Text))))
    .group_by(events.c.recommendation_id, events.c.user_id, events.c.product_id)
)
_DELETE_EXPIRED = delete(shadow_lists).where(shadow_lists.c.create_time < func.now() - bindparam("age", type_=Interval))


class ShadowList(NamedTuple):
    """A list that a version made in shadow."""

    id: str
    """Of the list that was shown."""
    model_version: str
    create_time: datetime
    overlap: float
    """The share of the products shown that are in this list too."""
    milliseconds: float
    shown_milliseconds: float
    """How long the list that was shown took."""
    error: str
    """Why it could not be made; empty if it was."""
    product_ids: tuple[str, ...] = ()


class ShadowSummary(NamedTuple):
    """What is known of all lists that a version made."""

    made: int
    failed: int
    last_error: str
    overlap: float
    shown_median: float
    """In milliseconds, as are the next ones."""
    shown_p95: float
    median: float
    p95: float


class ListPair(NamedTuple):
    """A list as it was shown, and as a version made it in shadow."""

    id: str
    user_id: str
    shown: list[ExposedProduct]
    product_ids: list[str]


class Reward(NamedTuple):
    """What a shopper did with a product because of a list."""

    clicked: bool
    revenue: float


class ShadowListRepository:
    """Lists that versions made in shadow."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, new: Sequence[ShadowList]) -> None:
        """Records lists; one that is there already stays as it is."""
        rows = [(*each[:-1], json.dumps(each.product_ids)) for each in new]
        await self._database.execute(_RECORD, **{name: list(values) for name, values in zip(_TYPES, zip(*rows, strict=True), strict=True)})

    async def count(self, model_version: str) -> int:
        """How many lists a version made."""
        return int(await self._database.fetch_value(_COUNT, model_version=model_version))

    async def summary(self, model_version: str) -> ShadowSummary:
        [row] = await self._database.fetch(_SUMMARY, model_version=model_version)
        return ShadowSummary(*row)

    async def latest(self, model_version: str, limit: int) -> list[ListPair]:
        """The latest lists of a version whose exposures are still there, latest first."""
        rows = await self._database.fetch(_LATEST, model_version=model_version, limit=limit)
        return [ListPair(id, user, [ExposedProduct(*each) for each in shown], made) for id, user, shown, made in rows]

    async def rewards(self, pairs: Sequence[ListPair]) -> dict[tuple[str, str], Reward]:
        """What shoppers did with the products that they were shown, by list and product."""
        shown = {(pair.id, pair.user_id, each.product_id) for pair in pairs for each in pair.shown}
        rows = await self._database.fetch(_REWARDS, ids=[pair.id for pair in pairs])
        return {(id, product): Reward(clicked, revenue) for id, user, product, clicked, revenue in rows if (id, user, product) in shown}

    async def delete_expired(self, age: timedelta) -> None:
        """Deletes the lists that are older."""
        await self._database.execute(_DELETE_EXPIRED, age=age)
