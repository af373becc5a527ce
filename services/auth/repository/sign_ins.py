"""Stores sign-ins."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Interval, LargeBinary, Uuid, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database
from services.auth.domain import User
from services.auth.refresh_tokens import RefreshToken
from services.auth.repository.users import USER_COLUMNS, user_from_row
from services.auth.tables import sign_ins, users

_IDLE = bindparam("idle", type_=Interval)
_LIFETIME = bindparam("lifetime", type_=Interval)

_BEGIN = (
    insert(sign_ins)
    .from_select(
        ["id", "user_id", "secret_hash", "expire_time", "end_time"],
        select(
            bindparam("id", type_=Uuid),
            users.c.id,
            bindparam("secret_hash", type_=LargeBinary),
            func.now() + func.least(_IDLE, _LIFETIME),
            func.now() + _LIFETIME,
        )
        .where(users.c.id == bindparam("user_id"), users.c.disabled.is_(False), users.c.password_hash == bindparam("password_hash"))
        # A concurrent change of the user waits until the sign-in is there to be ended, or is waited for.
        .with_for_update(read=True),
    )
    .returning(sign_ins.c.id)
)
_EXCHANGE = (
    update(sign_ins)
    .where(
        sign_ins.c.id == bindparam("id"),
        sign_ins.c.secret_hash == bindparam("spent_hash"),
        sign_ins.c.expire_time > func.now(),
        users.c.id == sign_ins.c.user_id,
        users.c.disabled.is_(False),
    )
    .values(secret_hash=bindparam("secret_hash"), expire_time=func.least(func.now() + _IDLE, sign_ins.c.end_time))
    .returning(*USER_COLUMNS)
)
_END = delete(sign_ins).where(sign_ins.c.id == bindparam("id")).returning(sign_ins.c.user_id)
_DELETE_EXPIRED = delete(sign_ins).where(sign_ins.c.expire_time < func.now())


class SignInRepository:
    """Sign-ins: which users are signed in, and the refresh token of each sign-in.

    idle: after how long without use a sign-in expires
    lifetime: after how long it expires in any case
    """

    def __init__(self, database: Database, idle: timedelta, lifetime: timedelta) -> None:
        self._database = database
        self._idle = idle
        self._lifetime = lifetime

    async def begin(self, user: User, token: RefreshToken) -> bool:
        """Signs a user in. Returns False if the account was disabled or its password changed since the user was read."""
        row = await self._database.fetch_row(
            _BEGIN,
            id=token.sign_in_id,
            secret_hash=token.secret_hash,
            user_id=user.id,
            password_hash=user.password_hash,
            idle=self._idle,
            lifetime=self._lifetime,
        )
        return row is not None

    async def exchange(self, spent: RefreshToken, fresh: RefreshToken) -> User | None:
        """Replaces a token by the next one. Returns its user, or None if it was not valid. Of concurrent exchanges, one succeeds."""
        row = await self._database.fetch_row(
            _EXCHANGE, id=spent.sign_in_id, spent_hash=spent.secret_hash, secret_hash=fresh.secret_hash, idle=self._idle
        )
        return user_from_row(row) if row else None

    async def end(self, token: RefreshToken) -> UUID | None:
        """Ends the sign-in of a token, spent or not. Returns the user's id, or None if there was no such sign-in."""
        user_id: UUID | None = await self._database.fetch_value(_END, id=token.sign_in_id)
        return user_id

    async def delete_expired(self) -> None:
        """Deletes expired sign-ins."""
        await self._database.execute(_DELETE_EXPIRED)
