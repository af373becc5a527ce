"""Stores the signing keys."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import and_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database
from services.auth.domain import KEY_AFTERLIFE, KeyStillNeeded, SealedKey, UnknownSigningKey
from services.auth.repository.revocations import revoke
from services.auth.tables import signing_keys

_SIGNS = and_(signing_keys.c.sign_time.is_not(None), signing_keys.c.retire_time.is_(None))
_LOCK = select(func.pg_advisory_xact_lock(func.hashtext("auth signing keys")))

_PAIR = select(signing_keys.c.id, signing_keys.c.sealed_private_key).order_by(_SIGNS.desc())
_SIGNING_ID = select(signing_keys.c.id).where(_SIGNS)
_WAITING_ID = select(signing_keys.c.id).where(signing_keys.c.sign_time.is_(None)).limit(1)
_NEEDED_UNTIL = select(func.max(signing_keys.c.retire_time) + KEY_AFTERLIFE)

_CREATE = insert(signing_keys).values(id=bindparam("id"), sealed_private_key=bindparam("sealed_private_key"))
_DELETE_UNNEEDED = delete(signing_keys).where(signing_keys.c.retire_time < func.now() - KEY_AFTERLIFE)
_RETIRE = update(signing_keys).where(_SIGNS).values(retire_time=func.now())
_START = update(signing_keys).where(signing_keys.c.id == bindparam("id")).values(sign_time=func.now())


_RESEAL = update(signing_keys).where(signing_keys.c.id == bindparam("key_id")).values(sealed_private_key=bindparam("sealed_private_key"))
_DELETE = delete(signing_keys).where(signing_keys.c.id == bindparam("id"))


class SigningKeyRepository:
    """The signing keys. Changes are serialized, so that replicas that start at the same time create one pair."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pair(self) -> list[SealedKey]:
        """The live keys, the one that signs first."""
        return [SealedKey(**row) for row in await self._database.fetch(_PAIR)]

    async def replenish(self, create: Callable[[], SealedKey]) -> None:
        """Deletes the key that no valid token needs, and creates keys until there are two, one of which signs."""
        async with self._database.begin() as transaction:
            await transaction.execute(_LOCK)
            await transaction.execute(_DELETE_UNNEEDED)
            for _ in range(len(await transaction.fetch(_PAIR)), 2):
                key = create()
                await transaction.execute(_CREATE, id=key.id, sealed_private_key=key.sealed_private_key)
            if await transaction.fetch_value(_SIGNING_ID) is None:
                await transaction.execute(_START, id=await transaction.fetch_value(_WAITING_ID))

    async def reseal(self, keys: Sequence[SealedKey]) -> None:
        """Replaces the sealed forms of keys."""
        async with self._database.begin() as transaction:
            await transaction.execute(_LOCK)
            for key in keys:
                await transaction.execute(_RESEAL, key_id=key.id, sealed_private_key=key.sealed_private_key)

    async def drop(self, id: str) -> None:
        """Deletes a key, and revokes all tokens that it has signed, and those that a thief signs from now on.

        Raises `UnknownSigningKey`.
        """
        async with self._database.begin() as transaction:
            await transaction.execute(_LOCK)
            if not await transaction.execute(_DELETE, id=id):
                raise UnknownSigningKey(id)
            # By then, every service has read the list of keys again.
            await revoke(transaction, [id], datetime.now(UTC) + KEY_AFTERLIFE)

    async def rotate(self) -> None:
        """Makes the waiting key the one that signs. Raises `KeyStillNeeded` if none is waiting."""
        async with self._database.begin() as transaction:
            await transaction.execute(_LOCK)
            waiting_id = await transaction.fetch_value(_WAITING_ID)
            if waiting_id is None:
                raise KeyStillNeeded(await transaction.fetch_value(_NEEDED_UNTIL))
            await transaction.execute(_RETIRE)
            await transaction.execute(_START, id=waiting_id)
