"""Stores second factors."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, LargeBinary, any_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Transaction
from services.auth.repository.revocations import end_sign_ins, revoke
from services.auth.repository.users import END_OTHER_SIGN_INS, END_SIGN_INS, lock_user
from services.auth.tables import second_factors, users

_OWN = second_factors.c.user_id == bindparam("owner_id")
_SAME_SECRET = second_factors.c.sealed_secret == bindparam("sealed")
_STEP = bindparam("step", type_=BigInteger)
_DIGEST = bindparam("digest", type_=LargeBinary)

_GET = select(second_factors.c.sealed_secret).where(_OWN)
_ENROLL = (
    insert(second_factors)
    .values(user_id=bindparam("owner_id"), sealed_secret=bindparam("sealed"))
    .on_conflict_do_update(
        index_elements=[second_factors.c.user_id],
        set_={"sealed_secret": bindparam("sealed", type_=LargeBinary)},
        where=second_factors.c.confirm_time.is_(None),
    )
    .returning(second_factors.c.user_id)
)
_CONFIRM = (
    update(second_factors)
    .where(_OWN, _SAME_SECRET, second_factors.c.confirm_time.is_(None))
    .values(confirm_time=func.now(), last_step=_STEP, recovery_digests=bindparam("digests", type_=ARRAY(LargeBinary)))
    .returning(second_factors.c.user_id)
)
_SPEND_STEP = (
    update(second_factors)
    .where(_OWN, _SAME_SECRET, second_factors.c.confirm_time.is_not(None), second_factors.c.last_step < _STEP)
    .values(last_step=_STEP)
    .returning(second_factors.c.user_id)
)
_SPEND_RECOVERY_CODE = (
    update(second_factors)
    .where(_OWN, second_factors.c.confirm_time.is_not(None), any_(second_factors.c.recovery_digests) == _DIGEST)
    .values(recovery_digests=func.array_remove(second_factors.c.recovery_digests, _DIGEST))
    .returning(second_factors.c.user_id)
)
_DELETE = delete(second_factors).where(_OWN).returning(second_factors.c.confirm_time)
_MARK_USER = (
    update(users)
    .where(users.c.id == bindparam("owner_id"))
    .values(has_second_factor=bindparam("enabled"), version=users.c.version + 1, update_time=func.now())
)
_SEALED_SECRETS = select(second_factors.c.user_id, second_factors.c.sealed_secret)
_RESEAL = update(second_factors).where(_OWN, _SAME_SECRET).values(sealed_secret=bindparam("resealed"))


class SecondFactorRepository:
    """Second factors. A change that ends the user's sign-ins does so in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sealed_secret(self, user_id: UUID) -> bytes | None:
        """The secret of a user, confirmed or not."""
        sealed: bytes | None = await self._database.fetch_value(_GET, owner_id=user_id)
        return sealed

    async def enroll(self, user_id: UUID, sealed_secret: bytes) -> bool:
        """Stores a secret that is to be confirmed. Returns False if the user has a confirmed one."""
        return await self._database.fetch_row(_ENROLL, owner_id=user_id, sealed=sealed_secret) is not None

    async def confirm(
        self, user_id: UUID, sealed_secret: bytes, step: int, recovery_digests: Sequence[bytes], current_sign_in: UUID
    ) -> bool:
        """Puts a secret to use, and ends all sign-ins but the current one. Returns False if it was replaced or confirmed meanwhile."""
        async with self._database.begin() as transaction:
            await lock_user(transaction, user_id)
            values = {"owner_id": user_id, "sealed": sealed_secret, "step": step, "digests": [*recovery_digests]}
            if await transaction.fetch_row(_CONFIRM, **values) is None:
                return False
            await transaction.execute(_MARK_USER, owner_id=user_id, enabled=True)
            await _end_sign_ins(transaction, user_id, current_sign_in)
            return True

    async def spend_step(self, user_id: UUID, sealed_secret: bytes, step: int) -> bool:
        """Takes the code of a step of time. Returns False if that, or a later one, was taken before."""
        return await self._database.fetch_row(_SPEND_STEP, owner_id=user_id, sealed=sealed_secret, step=step) is not None

    async def spend_recovery_code(self, user_id: UUID, digest: bytes) -> bool:
        """Takes a recovery code. Returns False if the user has none with this digest."""
        return await self._database.fetch_row(_SPEND_RECOVERY_CODE, owner_id=user_id, digest=digest) is not None

    async def remove(self, user_id: UUID, current_sign_in: UUID | None) -> None:
        """Removes the second factor of a user; if it was in use, ends all sign-ins but the current one. Raises `NotFound`."""
        async with self._database.begin() as transaction:
            await lock_user(transaction, user_id)
            row = await transaction.fetch_row(_DELETE, owner_id=user_id)
            if row is None or row["confirm_time"] is None:
                return
            await transaction.execute(_MARK_USER, owner_id=user_id, enabled=False)
            await _end_sign_ins(transaction, user_id, current_sign_in)
            # The role may require one, so that what the tokens say may be too much now.
            await revoke(transaction, [user_id])

    async def sealed_secrets(self) -> list[tuple[UUID, bytes]]:
        """All secrets, by user."""
        return [(row["user_id"], row["sealed_secret"]) for row in await self._database.fetch(_SEALED_SECRETS)]

    async def reseal(self, user_id: UUID, sealed_secret: bytes, resealed: bytes) -> None:
        """Replaces the sealed form of a secret, unless the secret was replaced meanwhile."""
        await self._database.execute(_RESEAL, owner_id=user_id, sealed=sealed_secret, resealed=resealed)


async def _end_sign_ins(transaction: Transaction, user_id: UUID, current: UUID | None) -> None:
    if current is None:
        await end_sign_ins(transaction, END_SIGN_INS, user_id=user_id)
    else:
        await end_sign_ins(transaction, END_OTHER_SIGN_INS, user_id=user_id, current=current)
