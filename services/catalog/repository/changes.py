"""Stores the log of changes."""

from datetime import timedelta

from sqlalchemy import CTE, Integer, Interval, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import Insert, insert

from mesh.database import Database
from services.catalog.domain import Change, ChangeLog, Product
from services.catalog.tables import change_log, changes

# The channel on which PostgreSQL notifies of changes.
CHANNEL = "catalog_changes"
# What the contract promises.
RETENTION = timedelta(days=7)
CHANGED_PRODUCT = [changes.c[field] for field in Product._fields]

_LOG = select(change_log.c.last_number, select(func.min(changes.c.number)).scalar_subquery(), change_log.c.secret)
_AFTER = (
    select(changes.c.number, *CHANGED_PRODUCT)
    .where(changes.c.number > bindparam("after"))
    .order_by(changes.c.number)
    .limit(bindparam("limit", type_=Integer))
)

_DELETE_BATCH_SIZE = 10_000
_since = func.now() - bindparam("age", type_=Interval)
# Of the oldest changes those before the first recent one, so that no gap arises. In batches, as all at once might time out.
_oldest = select(changes.c.number, changes.c.update_time).order_by(changes.c.number).limit(_DELETE_BATCH_SIZE).subquery()
_first_recent = select(func.min(_oldest.c.number)).where(_oldest.c.update_time >= _since).scalar_subquery()
_after_batch = select(func.max(_oldest.c.number) + 1).scalar_subquery()
_DELETE_EXPIRED = delete(changes).where(changes.c.number < func.coalesce(_first_recent, _after_batch))


class ChangeRepository:
    """The changes of products, until they expire."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def log(self) -> ChangeLog:
        """The extent of the log as of now."""
        [row] = await self._database.fetch(_LOG)
        return ChangeLog(*row)

    async def after(self, number: int, limit: int) -> list[Change]:
        """The changes after this one, in order."""
        return [Change(row[0], Product(*row[1:])) for row in await self._database.fetch(_AFTER, after=number, limit=limit)]

    async def delete_expired(self, age: timedelta = RETENTION) -> None:
        """Deletes the changes older than `age`."""
        while await self._database.execute(_DELETE_EXPIRED, age=age) == _DELETE_BATCH_SIZE:
            pass


def record_changes(written: CTE) -> Insert:
    """A statement that numbers the products just written, and inserts them as changes.

    written: the products, with the columns of `Product`
    """
    count = select(func.count()).select_from(written).scalar_subquery()
    # The last lock of the transaction, held until its end: its holder waits for no other lock, so that none deadlocks.
    log = (
        update(change_log)
        .values(last_number=change_log.c.last_number + count)
        .where(exists().select_from(written))
        .returning(change_log.c.last_number, func.pg_notify(CHANNEL, ""))
        .cte("log")
    )
    number = select(log.c.last_number).scalar_subquery() - count + func.row_number().over(order_by=written.c.id)
    numbered = select(number, *(written.c[field] for field in Product._fields))
    return insert(changes).from_select([changes.c.number, *CHANGED_PRODUCT], numbered)
