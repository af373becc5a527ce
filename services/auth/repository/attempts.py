"""Counts attempts against their limits."""

from datetime import timedelta

from sqlalchemy import Interval, bindparam, case, delete, func, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database
from services.auth.tables import attempts
from services.auth.throttle import WINDOW, AttemptLimit, WindowLimit

_BY_KEY = attempts.c.key == bindparam("key")
_DELAY_INTERVAL = bindparam("delay", type_=Interval)

_COUNT = (
    insert(attempts)
    .values(key=bindparam("key"), count=1, expire_time=func.now() + WINDOW)
    .on_conflict_do_update(
        index_elements=[attempts.c.key],
        set_={
            "count": case((attempts.c.expire_time <= func.now(), 1), else_=attempts.c.count + 1),
            "expire_time": func.now() + WINDOW,
        },
    )
    .returning(attempts.c.count, (attempts.c.retry_time - func.clock_timestamp()).label("wait"))
)
_COUNT_IN_WINDOW = (
    insert(attempts)
    .values(key=bindparam("key"), count=1, expire_time=func.now() + WINDOW)
    .on_conflict_do_update(
        index_elements=[attempts.c.key],
        set_={
            "count": case((attempts.c.expire_time <= func.now(), 1), else_=attempts.c.count + 1),
            "expire_time": case((attempts.c.expire_time <= func.now(), func.now() + WINDOW), else_=attempts.c.expire_time),
        },
    )
    .returning(attempts.c.count, (attempts.c.expire_time - func.clock_timestamp()).label("wait"))
)
_DELAY = update(attempts).where(_BY_KEY).values(retry_time=func.now() + _DELAY_INTERVAL, expire_time=func.now() + _DELAY_INTERVAL + WINDOW)
_CLEAR = delete(attempts).where(_BY_KEY)
_UNCOUNT = update(attempts).where(_BY_KEY, attempts.c.count > 0).values(count=attempts.c.count - 1, retry_time=None)
_DELETE_EXPIRED = delete(attempts).where(attempts.c.expire_time < func.now())


class AttemptRepository:
    """The number of attempts, by limit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, *limits: AttemptLimit) -> None:
        """Counts an attempt before it is made, so that concurrent ones do not evade a limit. Raises the error of an exceeded limit."""
        async with self._database.begin() as transaction:
            # In the same order in every transaction, so that no two deadlock.
            for limit in sorted(limits, key=lambda limit: limit.key):
                [row] = await transaction.fetch(_COUNT, key=limit.key)
                if row["wait"] is not None and row["wait"] > timedelta():
                    raise limit.error(row["wait"])
                if delay := limit.delay(row["count"]):
                    await transaction.execute(_DELAY, key=limit.key, delay=delay)

    async def count_in_window(self, limit: WindowLimit) -> None:
        """Counts an attempt before it is made. Raises the error of an exceeded limit."""
        [row] = await self._database.fetch(_COUNT_IN_WINDOW, key=limit.key)
        if row["count"] > limit.allowed:
            raise limit.error(row["wait"])

    async def clear(self, own: AttemptLimit, *shared: AttemptLimit) -> None:
        """Removes what was counted for a sign-in that succeeded.

        own: the limit of which all attempts are forgotten
        shared: the limits of which this attempt alone is
        """
        async with self._database.begin() as transaction:
            for key, statement in sorted({own.key: _CLEAR, **{limit.key: _UNCOUNT for limit in shared}}.items()):
                await transaction.execute(statement, key=key)

    async def delete_expired(self) -> None:
        """Deletes expired counts."""
        await self._database.execute(_DELETE_EXPIRED)
