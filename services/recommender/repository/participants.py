"""The queries on who takes part in experiments, and what they did."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Boolean, DateTime, Float, Interval, Text, bindparam, case, cast, column, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import TypeEngine

from mesh.database import Database, Transaction
from ml.experiments.assignment import Arm
from services.recommender.domain import Exposure
from services.recommender.tables import events, exposures, forgotten_users, participants, sign_ups

_EXPERIMENT_ID = bindparam("experiment_id", type_=Text)
_USER_ID = bindparam("user_id", type_=Text)

_TYPES: dict[str, TypeEngine[Any]] = {
    "experiment_id": Text(),
    "user_id": Text(),
    "customer_number": Text(),
    "arm": Text(),
    "first_time": DateTime(timezone=True),
}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _TYPES.items()))
    .table_valued(*(column(name, type_) for name, type_ in _TYPES.items()))
    .render_derived("incoming")
)
_not_forgotten = ~exists().where(forgotten_users.c.user_id == _incoming.c.user_id)
# In one order in all replicas, so that none waits for another that waits for it.
_first_lists = (
    select(*(_incoming.c[name] for name in _TYPES))
    .where(_not_forgotten)
    .order_by(_incoming.c.experiment_id, _incoming.c.user_id, _incoming.c.first_time)
)
_RECORD = insert(participants).from_select(list(_TYPES), _first_lists).on_conflict_do_nothing()
_MARK_MIXED = (
    update(participants)
    .where(
        participants.c.experiment_id == _incoming.c.experiment_id,
        participants.c.user_id == _incoming.c.user_id,
        participants.c.arm != _incoming.c.arm,
        ~participants.c.is_mixed,
    )
    .values(is_mixed=True)
)

_ASSIGNED_ID = select(sign_ups.c.visitor_id).where(sign_ups.c.user_id == _USER_ID)

_visitor, _user = bindparam("visitor_id", type_=Text), bindparam("new_user_id", type_=Text)
_RECORD_SIGN_UP = (
    insert(sign_ups)
    .from_select(["user_id", "visitor_id"], select(_user, _visitor).where(~exists().where(participants.c.user_id == _user)))
    .on_conflict_do_nothing()
)
_other = participants.alias("other")
_same_experiment = _other.c.experiment_id == participants.c.experiment_id
_MARK_VISITORS_MIXED = (
    update(participants)
    .where(
        participants.c.user_id == _user,
        _other.c.user_id == _visitor,
        _same_experiment,
        (_other.c.arm != participants.c.arm) | _other.c.is_mixed,
    )
    .values(is_mixed=True)
)
_HAND_OVER = (
    update(participants)
    .where(participants.c.user_id == _visitor, ~exists().where(_other.c.user_id == _user, _same_experiment))
    .values(user_id=_user, customer_number=bindparam("new_customer_number", type_=Text))
)
_DELETE = (delete(participants).where(participants.c.user_id == _USER_ID), delete(sign_ups).where(sign_ups.c.user_id == _USER_ID))

# A shopper is in the report when the window is over: then what they did no longer changes, so that each day adds new shoppers to those
# of the days before, as confidence sequences have it.
_through, _window = bindparam("through", type_=DateTime(timezone=True)), bindparam("window", type_=Interval)
_taking_part = (
    select(participants).where(participants.c.experiment_id == _EXPERIMENT_ID, participants.c.first_time <= _through).cte("taking_part")
)
_is_counted = ~_taking_part.c.is_mixed & (_taking_part.c.first_time + _window <= _through)
_in_window = (
    ((events.c.kind == "purchase") | (events.c.kind == "return"))
    & events.c.counts_for_others
    & (events.c.event_time >= _taking_part.c.first_time)
    & (events.c.event_time < _taking_part.c.first_time + _window)
)
_order = [_taking_part.c.user_id, events.c.kind, events.c.quantity, events.c.unit_price_cents]
_has_number = _taking_part.c.customer_number != ""
_orders = (
    select(*_order)
    .where(_is_counted, _in_window, events.c.user_id == _taking_part.c.user_id)
    .union_all(
        # What an order system reports by the number alone.
        select(*_order).where(
            _is_counted,
            _in_window,
            _has_number,
            events.c.customer_number == _taking_part.c.customer_number,
            events.c.user_id != _taking_part.c.user_id,
        )
    )
    .cte("orders")
)
_is_purchase = _orders.c.kind == "purchase"
_amount = cast(_orders.c.quantity, Float) * func.coalesce(_orders.c.unit_price_cents, 0)
_spent = (
    select(
        _orders.c.user_id,
        func.bool_or(_is_purchase).label("bought"),
        func.sum(case((_is_purchase, _amount), else_=-_amount)).label("revenue"),
        func.count().filter(_is_purchase & _orders.c.unit_price_cents.is_(None)).label("unpriced"),
    )
    .group_by(_orders.c.user_id)
    .cte("spent")
)
_revenue = func.coalesce(_spent.c.revenue, 0.0)
_unmixed = ~_taking_part.c.is_mixed
_OUTCOMES = (
    select(
        _taking_part.c.arm,
        func.count().filter(_unmixed).label("shoppers"),
        func.count().filter(_taking_part.c.is_mixed).label("mixed"),
        func.count().filter(_is_counted).label("counted"),
        func.count().filter(func.coalesce(_spent.c.bought, cast(False, Boolean))).label("converted"),
        func.coalesce(func.sum(_revenue), 0.0).label("revenue"),
        func.coalesce(func.sum(_revenue * _revenue), 0.0).label("revenue_squared"),
        cast(func.coalesce(func.sum(_spent.c.unpriced), 0), Float).label("unpriced"),
    )
    .select_from(_taking_part.outerjoin(_spent, _taking_part.c.user_id == _spent.c.user_id))
    .group_by(_taking_part.c.arm)
)
_LISTS = (
    select(exposures.c.arm, exposures.c.model_version, func.count())
    .where(
        exposures.c.experiment_id == _EXPERIMENT_ID,
        exposures.c.create_time >= bindparam("start", type_=DateTime(timezone=True)),
        exposures.c.create_time <= _through,
    )
    .group_by(exposures.c.arm, exposures.c.model_version)
)


class ArmOutcome(NamedTuple):
    """What the shoppers of an arm did. Amounts are in minor units of the currency."""

    shoppers: int = 0
    """Those who were seen in this arm alone."""
    mixed: int = 0
    """Those who were seen in this arm first, and then in the other one."""
    counted: int = 0
    """Those of `shoppers` whose window is over, whom the rest is about."""
    converted: int = 0
    revenue: float = 0
    """The sum over shoppers."""
    revenue_squared: float = 0
    """The sum of squares over shoppers."""
    unpriced: float = 0
    """The purchases without a price."""
    lists: Mapping[str, int] = {}
    """By the version of the model that made them; without a model, by an empty text."""


class ParticipantRepository:
    """Who takes part in experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def assigned_id(self, user_id: str) -> str:
        """The id by which experiments assign a user: that of the visitor whom they signed up as, or their own."""
        return str(await self._database.fetch_value(_ASSIGNED_ID, user_id=user_id) or user_id)

    async def outcomes(self, experiment_id: str, start: datetime, through: datetime, window: timedelta) -> dict[Arm, ArmOutcome]:
        """What the shoppers of each arm did within a time from their first list, if that was over at the time `through`.

        Lists and shoppers after that time are left out.

        start: when the experiment was started; earlier lists are those of another one with its id
        """
        rows = await self._database.fetch(_OUTCOMES, experiment_id=experiment_id, through=through, window=window)
        lists: dict[Arm, dict[str, int]] = {arm: {} for arm in Arm}
        for arm, version, count in await self._database.fetch(_LISTS, experiment_id=experiment_id, start=start, through=through):
            lists[Arm(arm)][version] = count
        found = {Arm(arm): ArmOutcome(*outcome) for arm, *outcome in rows}
        return {arm: found.get(arm, ArmOutcome())._replace(lists=lists[arm]) for arm in Arm}


async def record_participants(transaction: Transaction, new: Sequence[Exposure]) -> None:
    """Records who takes part by the lists that they were shown, in the arm of their first one."""
    rows = [(each.experiment_id, each.user_id, each.customer_number, each.arm, each.create_time) for each in new if each.experiment_id]
    if rows:
        columns = {name: list(values) for name, values in zip(_TYPES, zip(*rows, strict=True), strict=True)}
        await transaction.execute(_RECORD, **columns)
        await transaction.execute(_MARK_MIXED, **columns)


async def hand_over_participant(transaction: Transaction, visitor_id: str, user_id: str, customer_number: str) -> None:
    """Makes a visitor's part in experiments a user's, who keeps the visitor's arms if they have none of their own."""
    await transaction.execute(_RECORD_SIGN_UP, visitor_id=visitor_id, new_user_id=user_id)
    await transaction.execute(_MARK_VISITORS_MIXED, visitor_id=visitor_id, new_user_id=user_id)
    await transaction.execute(_HAND_OVER, visitor_id=visitor_id, new_user_id=user_id, new_customer_number=customer_number)


async def forget_participant(transaction: Transaction, user_id: str) -> None:
    """Deletes a user's or visitor's part in experiments."""
    for statement in _DELETE:
        await transaction.execute(statement, user_id=user_id)
