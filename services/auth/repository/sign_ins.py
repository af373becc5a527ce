"""Stores sign-ins."""

from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record
from sqlalchemy import (
    Boolean,
    DateTime,
    Integer,
    Interval,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from mesh.client_address import ClientAddress, counted_network
from mesh.database import Database
from services.auth.domain import Client, User
from services.auth.refresh_tokens import RefreshToken
from services.auth.repository.revocations import end_sign_ins
from services.auth.repository.users import USER_COLUMNS, user_from_row
from services.auth.tables import sign_ins, users

# More than anybody has devices; each is a row.
MAX_SIGN_INS = 50

_IDLE = bindparam("idle", type_=Interval)
_LIFETIME = bindparam("lifetime", type_=Interval)

_BEGIN = (
    insert(sign_ins)
    .from_select(
        ["id", "user_id", "secret_hash", "address", "network", "user_agent", "expire_time", "end_time"],
        select(
            bindparam("id", type_=Uuid),
            users.c.id,
            bindparam("secret_hash", type_=LargeBinary),
            bindparam("address", type_=Text),
            bindparam("network", type_=Text),
            bindparam("user_agent", type_=Text),
            func.now() + func.least(_IDLE, _LIFETIME),
            func.now() + _LIFETIME,
        )
        .where(
            users.c.id == bindparam("user_id"),
            users.c.disabled.is_(False),
            users.c.password_hash == bindparam("password_hash"),
            users.c.has_second_factor == bindparam("has_second_factor", type_=Boolean),
        )
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
    .values(secret_hash=bindparam("secret_hash"), use_time=func.now(), expire_time=func.least(func.now() + _IDLE, sign_ins.c.end_time))
    .returning(*USER_COLUMNS)
)
_EXCESS = (
    select(sign_ins.c.id)
    .where(sign_ins.c.user_id == bindparam("user_id"))
    .order_by(sign_ins.c.use_time.desc(), sign_ins.c.id)
    .offset(MAX_SIGN_INS)
    .with_for_update(skip_locked=True)
)
_END_EXCESS = delete(sign_ins).where(sign_ins.c.id.in_(_EXCESS)).returning(sign_ins.c.id, sign_ins.c.user_id)
_HAS_NETWORK = select(
    exists().where(
        sign_ins.c.user_id == bindparam("user_id"), sign_ins.c.network == bindparam("network"), sign_ins.c.expire_time > func.now()
    )
)
_END = delete(sign_ins).where(sign_ins.c.id == bindparam("id")).returning(sign_ins.c.id, sign_ins.c.user_id)
_DELETE_EXPIRED = delete(sign_ins).where(sign_ins.c.expire_time < func.now())


_LIVE_OF_USER = (
    select(sign_ins.c.id, *(sign_ins.c[name] for name in ("create_time", "use_time", "expire_time", "address", "user_agent")))
    .where(sign_ins.c.user_id == bindparam("user_id"), sign_ins.c.expire_time > func.now())
    .order_by(sign_ins.c.create_time.desc(), sign_ins.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_LIVE_AFTER = _LIVE_OF_USER.where(
    tuple_(sign_ins.c.create_time, sign_ins.c.id)
    < tuple_(bindparam("time", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid))
)
_END_OF_USER = (
    delete(sign_ins)
    .where(sign_ins.c.id == bindparam("id"), sign_ins.c.user_id == bindparam("user_id"))
    .returning(sign_ins.c.id, sign_ins.c.user_id)
)
_IS_RECENT = select(
    exists().where(sign_ins.c.id == bindparam("id"), sign_ins.c.create_time > func.now() - bindparam("age", type_=Interval))
)


class SignInRepository:
    """Sign-ins: which users are signed in, and the refresh token of each sign-in.

    idle: after how long without use a sign-in expires
    lifetime: after how long it expires in any case
    """

    def __init__(self, database: Database, idle: timedelta, lifetime: timedelta) -> None:
        self._database = database
        self._idle = idle
        self._lifetime = lifetime

    async def begin(self, user: User, token: RefreshToken, client: Client) -> bool:
        """Signs a user in. Returns False if the account was disabled, or its password or second factor changed since the user was read.

        Of more than `MAX_SIGN_INS` of a user, those that were not used for the longest time end.
        """
        async with self._database.begin() as transaction:
            row = await transaction.fetch_row(
                _BEGIN,
                id=token.sign_in_id,
                secret_hash=token.secret_hash,
                user_id=user.id,
                password_hash=user.password_hash,
                has_second_factor=user.has_second_factor,
                address=str(client.address),
                network=counted_network(client.address),
                user_agent=client.user_agent,
                idle=self._idle,
                lifetime=self._lifetime,
            )
            await end_sign_ins(transaction, _END_EXCESS, user_id=user.id)
        return row is not None

    async def has_network(self, user_id: UUID, address: ClientAddress) -> bool:
        """Whether the user is signed in from the network of this address."""
        known: bool = await self._database.fetch_value(_HAS_NETWORK, user_id=user_id, network=counted_network(address))
        return known

    async def exchange(self, spent: RefreshToken, fresh: RefreshToken) -> User | None:
        """Replaces a token by the next one. Returns its user, or None if it was not valid. Of concurrent exchanges, one succeeds."""
        row = await self._database.fetch_row(
            _EXCHANGE, id=spent.sign_in_id, spent_hash=spent.secret_hash, secret_hash=fresh.secret_hash, idle=self._idle
        )
        return user_from_row(row) if row else None

    async def end(self, token: RefreshToken) -> UUID | None:
        """Ends the sign-in of a token, spent or not. Returns the user's id, or None if there was no such sign-in."""
        async with self._database.begin() as transaction:
            return next(iter(await end_sign_ins(transaction, _END, id=token.sign_in_id)), None)

    async def page(self, user_id: UUID, after: tuple[datetime, UUID] | None, limit: int) -> list[Record]:
        """The live sign-ins of a user, latest first, after the one of this creation time and id."""
        if after is None:
            return await self._database.fetch(_LIVE_OF_USER, user_id=user_id, limit=limit)
        return await self._database.fetch(_LIVE_AFTER, user_id=user_id, limit=limit, time=after[0], after_id=after[1])

    async def end_own(self, user_id: UUID, id: UUID) -> None:
        """Ends a sign-in of a user, if there is one with this id."""
        async with self._database.begin() as transaction:
            await end_sign_ins(transaction, _END_OF_USER, user_id=user_id, id=id)

    async def is_recent(self, id: UUID, age: timedelta) -> bool:
        """Whether a live sign-in began within this time."""
        recent: bool = await self._database.fetch_value(_IS_RECENT, id=id, age=age)
        return recent

    async def delete_expired(self) -> None:
        """Deletes expired sign-ins."""
        await self._database.execute(_DELETE_EXPIRED)
