"""Stores which access tokens are revoked."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Executable, Text, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Transaction
from mesh.revocations import RevokedTokens
from services.auth.domain import KEY_AFTERLIFE
from services.auth.tables import revocations

_LIST = select(revocations)
_new = insert(revocations).from_select(
    ["subject", "not_before_time"],
    select(func.unnest(bindparam("subjects", type_=ARRAY(Text))), bindparam("time", type_=DateTime(timezone=True))),
)
_REVOKE = _new.on_conflict_do_update(index_elements=[revocations.c.subject], set_={"not_before_time": _new.excluded.not_before_time})
_DELETE_EXPIRED = delete(revocations).where(revocations.c.not_before_time < func.now() - KEY_AFTERLIFE)


class RevocationRepository:
    """The revocations in the database, which this process follows too."""

    def __init__(self, database: Database, known: RevokedTokens) -> None:
        self._database = database
        self._known = known

    async def list(self) -> list[tuple[str, datetime]]:
        """The subjects, and the time before which their tokens are not valid."""
        return [(row["subject"], row["not_before_time"]) for row in await self._database.fetch(_LIST)]

    async def read(self) -> None:
        """Has this process know all revocations."""
        self._known.replace({subject: time.timestamp() for subject, time in await self.list()})

    async def delete_expired(self) -> None:
        """Deletes the revocations whose tokens have expired."""
        await self._database.execute(_DELETE_EXPIRED)


async def revoke(transaction: Transaction, subjects: Iterable[UUID | str], not_before: datetime | None = None) -> None:
    """Revokes the access tokens of users, sign-ins or keys that were issued before a time.

    not_before: now if None, by this process's clock, which issues tokens too
    """
    if texts := [*map(str, subjects)]:
        await transaction.execute(_REVOKE, subjects=texts, time=not_before or datetime.now(UTC))


async def end_sign_ins(transaction: Transaction, statement: Executable, **parameters: Any) -> list[UUID]:
    """Ends sign-ins, revokes their access tokens, and returns their users.

    statement: deletes sign-ins, and returns their `id` and `user_id`
    """
    ended = await transaction.fetch(statement, **parameters)
    await revoke(transaction, [row["id"] for row in ended])
    return [row["user_id"] for row in ended]
