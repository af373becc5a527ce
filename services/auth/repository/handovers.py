"""Stores which visitors' events the recommender has still to hand over to a user."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database
from services.auth.tables import handovers

# Longer than an attempt takes. It doubles with each attempt, up to 512 seconds.
_FIRST_RETRY = timedelta(seconds=8)
_MAX_DOUBLINGS = 6

_ADD = (
    insert(handovers)
    .values(visitor_id=bindparam("visitor_id"), user_id=bindparam("user_id"), customer_number=bindparam("customer_number"))
    .on_conflict_do_nothing()
)
_CLAIM = (
    update(handovers)
    .where(
        handovers.c.visitor_id
        == select(handovers.c.visitor_id)
        .where(handovers.c.next_time <= func.now())
        .order_by(handovers.c.next_time)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        tries=handovers.c.tries + 1,
        next_time=func.now() + _FIRST_RETRY * func.power(2, func.least(handovers.c.tries, _MAX_DOUBLINGS)),
    )
    .returning(handovers.c.visitor_id, handovers.c.user_id, handovers.c.customer_number)
)
_COMPLETE = delete(handovers).where(handovers.c.visitor_id == bindparam("visitor_id"))


class Handover(NamedTuple):
    """A visitor whose events become a user's."""

    visitor_id: UUID
    user_id: UUID
    customer_number: str
    """The user's key in the sales history; empty for none."""


class HandoverRepository:
    """Visitors whose events are still to be handed over. The first user whom a visitor signs in as gets them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, visitor_id: UUID, user_id: UUID, customer_number: str) -> None:
        """Stores a handover, unless the visitor has one under way."""
        await self._database.execute(_ADD, visitor_id=visitor_id, user_id=user_id, customer_number=customer_number)

    async def claim(self) -> Handover | None:
        """A handover that is due, or None. Unless completed, it is due again after a delay that doubles each time."""
        row = await self._database.fetch_row(_CLAIM)
        return None if row is None else Handover(*row)

    async def complete(self, handover: Handover) -> None:
        """Removes a handover that was carried out."""
        await self._database.execute(_COMPLETE, visitor_id=handover.visitor_id)
