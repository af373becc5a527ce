"""Stores which deleted users the recommender has still to forget."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update

from mesh.database import Database
from services.auth.tables import forgettings

# Longer than an attempt takes. It doubles with each attempt, up to 512 seconds.
_FIRST_RETRY = timedelta(seconds=8)
_MAX_DOUBLINGS = 6

_CLAIM = (
    update(forgettings)
    .where(
        forgettings.c.user_id
        == select(forgettings.c.user_id)
        .where(forgettings.c.next_time <= func.now())
        .order_by(forgettings.c.next_time)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        tries=forgettings.c.tries + 1,
        next_time=func.now() + _FIRST_RETRY * func.power(2, func.least(forgettings.c.tries, _MAX_DOUBLINGS)),
    )
    .returning(forgettings.c.user_id)
)
_COMPLETE = delete(forgettings).where(forgettings.c.user_id == bindparam("user_id"))


class ForgettingRepository:
    """Deleted users whose events are still to be forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self) -> UUID | None:
        """A user who is due, or None. Unless completed, the user is due again after a delay that doubles each time."""
        user_id: UUID | None = await self._database.fetch_value(_CLAIM)
        return user_id

    async def complete(self, user_id: UUID) -> None:
        """Removes a user who was forgotten."""
        await self._database.execute(_COMPLETE, user_id=user_id)
