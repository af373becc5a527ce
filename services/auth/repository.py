"""Where users, their sign-ins and the signing keys are kept."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID, uuid4

from asyncpg import Record, UniqueViolationError
from sqlalchemy import Integer, Interval, LargeBinary, Select, Uuid, and_, bindparam, case, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Transaction
from mesh.errors import NotFound
from mesh.identity import Role
from services.auth.domain import KEY_AFTERLIFE, CustomerNumberTaken, EmailTaken, KeyStillNeededError, LastAdmin, SealedKey, User, folded
from services.auth.refresh_tokens import RefreshToken
from services.auth.tables import attempts, forgettings, sign_ins, signing_keys, users
from services.auth.throttle import WINDOW, Limit


class UserRepository:
    """Users, and what becomes of their sign-ins when they change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, id: UUID) -> User | None:
        row = await self._database.fetch_row(_USER, id=id)
        return _user(row) if row else None

    async def find(self, email: str) -> User | None:
        """The user with this e-mail address, however it is written."""
        row = await self._database.fetch_row(_USER_BY_EMAIL, email_key=folded(email))
        return _user(row) if row else None

    async def page(self, after: tuple[datetime, UUID] | None, limit: int, search: str, role: Role | None) -> list[User]:
        """The newest users, or those that follow `after`: its time of creation and its id."""
        arguments: dict[str, object] = {"limit": limit}
        if after is not None:
            arguments |= {"create_time": after[0], "id": after[1]}
        if search:
            arguments |= {"search": folded(search)}
        if role is not None:
            arguments |= {"role": role.value}
        return [_user(row) for row in await self._database.fetch(_page(frozenset(arguments)), **arguments)]

    async def add(self, email: str, display_name: str, role: Role, password_hash: str) -> User:
        """A new user. Raises `EmailTaken`."""
        row = await self._database.fetch_row(
            _ADD,
            id=uuid4(),
            email=email,
            email_key=folded(email),
            display_name=display_name,
            search_text=_search_text(email, display_name),
            role=role.value,
            password_hash=password_hash,
        )
        if row is None:
            raise EmailTaken
        return _user(row)

    async def change(self, id: UUID, change: Callable[[User], User], *, current_sign_in: UUID | None = None) -> User:
        """Makes of the user what `change` makes of it. Another password ends all sign-ins but the current one, disabling ends all."""
        async with self._database.begin() as transaction:
            user = await _lock(transaction, id)
            wanted = change(user)
            if wanted == user:
                return user
            if user.administers and not wanted.administers:
                await _leave_an_admin(transaction, id)
            changed = await _save(transaction, wanted)
            if wanted.disabled:
                await transaction.execute(_END_SIGN_INS, user_id=id)
            elif wanted.password_hash != user.password_hash:
                await transaction.execute(_END_OTHER_SIGN_INS, user_id=id, current=current_sign_in)
            return changed

    async def keep_hash(self, user: User, password_hash: str) -> User:
        """Keeps another hash of the same password, unless the password was changed meanwhile."""
        row = await self._database.fetch_row(_KEEP_HASH, id=user.id, password_hash=password_hash, old_hash=user.password_hash)
        return _user(row) if row else user

    async def delete(self, id: UUID) -> None:
        """Deletes a user with all sign-ins, and notes that the user's events are to be forgotten."""
        async with self._database.begin() as transaction:
            user = await _lock(transaction, id)
            if user.administers:
                await _leave_an_admin(transaction, id)
            await transaction.execute(_DELETE_USER, id=id)
            await transaction.execute(_NOTE_FORGETTING, user_id=id)


class SignInRepository:
    """Sign-ins: who is signed in, and by which refresh token."""

    def __init__(self, database: Database, idle: timedelta, lifetime: timedelta) -> None:
        self._database = database
        self._idle = idle
        self._lifetime = lifetime

    async def begin(self, user: User, token: RefreshToken) -> bool:
        """Signs a user in, unless the account was disabled or its password changed since the user was read."""
        row = await self._database.fetch_row(
            _SIGN_IN,
            id=token.sign_in_id,
            secret_hash=token.secret_hash,
            user_id=user.id,
            password_hash=user.password_hash,
            idle=self._idle,
            lifetime=self._lifetime,
        )
        return row is not None

    async def exchange(self, spent: RefreshToken, fresh: RefreshToken) -> User | None:
        """Whose token was exchanged, if it was good. Of several who exchange one token at the same time, one succeeds."""
        row = await self._database.fetch_row(
            _EXCHANGE, id=spent.sign_in_id, spent_hash=spent.secret_hash, secret_hash=fresh.secret_hash, idle=self._idle
        )
        return _user(row) if row else None

    async def end(self, token: RefreshToken) -> UUID | None:
        """Ends the sign-in that a token, spent or not, came of. Whose it was, if there was one."""
        user_id: UUID | None = await self._database.fetch_value(_END_SIGN_IN, id=token.sign_in_id)
        return user_id

    async def delete_expired(self) -> None:
        """Deletes the sign-ins that have expired."""
        await self._database.execute(_DELETE_EXPIRED_SIGN_INS)


class AttemptRepository:
    """Tries of what is limited."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, *limits: Limit) -> None:
        """Counts a try before it is made, so that many at once are no way around a limit. Raises what the limit refuses it by."""
        async with self._database.begin() as transaction:
            # In the same order for all, so that no two wait for each other.
            for limit in sorted(limits, key=lambda limit: limit.key):
                [row] = await transaction.fetch(_COUNT, key=limit.key)
                if row["wait"] is not None and row["wait"] > timedelta():
                    raise limit.refusal(row["wait"])
                if delay := limit.delay(row["count"]):
                    await transaction.execute(_DELAY, key=limit.key, delay=delay)

    async def forgive(self, account: Limit, address: Limit) -> None:
        """Takes back what was counted for a sign-in that succeeded: all of the account's tries, and this one of the address."""
        async with self._database.begin() as transaction:
            await transaction.execute(_FORGET, key=account.key)
            await transaction.execute(_TAKE_BACK, key=address.key)

    async def delete_expired(self) -> None:
        """Deletes the counts that have expired."""
        await self._database.execute(_DELETE_EXPIRED_ATTEMPTS)


class KeyRepository:
    """The signing keys. Whoever changes them is alone: replicas that start at the same time make one pair."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pair(self) -> list[SealedKey]:
        """The live keys, the one that signs first."""
        return [SealedKey(**row) for row in await self._database.fetch(_KEYS)]

    async def settle(self, make: Callable[[], SealedKey]) -> None:
        """Drops the key that no token needs any more, and makes what lacks of two."""
        async with self._database.begin() as transaction:
            await transaction.execute(_LOCK_KEYS)
            await transaction.execute(_DROP_KEY)
            for _ in range(len(await transaction.fetch(_KEYS)), 2):
                key = make()
                await transaction.execute(_ADD_KEY, id=key.id, sealed_private_key=key.sealed_private_key)
            if await transaction.fetch_value(_SIGNING_KEY) is None:
                await transaction.execute(_START, id=await transaction.fetch_value(_WAITING_KEY))

    async def rotate(self) -> None:
        """Lets the key that waits sign. Raises `KeyStillNeededError` if none waits."""
        async with self._database.begin() as transaction:
            await transaction.execute(_LOCK_KEYS)
            waiting = await transaction.fetch_value(_WAITING_KEY)
            if waiting is None:
                raise KeyStillNeededError(await transaction.fetch_value(_KEY_NEEDED_UNTIL))
            await transaction.execute(_RETIRE)
            await transaction.execute(_START, id=waiting)


class ForgettingRepository:
    """Deleted users whose events are still to be forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self) -> UUID | None:
        """One that is due. Unless it is done before, it is due again later, and each time later still."""
        user_id: UUID | None = await self._database.fetch_value(_CLAIM_FORGETTING)
        return user_id

    async def done(self, user_id: UUID) -> None:
        await self._database.execute(_FORGOTTEN, user_id=user_id)


def _user(row: Record) -> User:
    return User(**{**row, "role": Role(row["role"])})


def _search_text(email: str, display_name: str) -> str:
    return folded(f"{email}\n{display_name}")


async def _lock(transaction: Transaction, id: UUID) -> User:
    row = await transaction.fetch_row(_USER_FOR_UPDATE, id=id)
    if row is None:
        raise NotFound("user", str(id))
    return _user(row)


async def _leave_an_admin(transaction: Transaction, id: UUID) -> None:
    # One after the other: two admins who demote each other would both see the other one left.
    await transaction.execute(_LOCK_ADMINS)
    if not await transaction.fetch_value(_ANOTHER_ADMIN, id=id):
        raise LastAdmin


async def _save(transaction: Transaction, user: User) -> User:
    try:
        [row] = await transaction.fetch(
            _SAVE,
            id=user.id,
            email=user.email,
            email_key=folded(user.email),
            display_name=user.display_name,
            search_text=_search_text(user.email, user.display_name),
            role=user.role.value,
            customer_number=user.customer_number,
            disabled=user.disabled,
            password_hash=user.password_hash,
        )
    except UniqueViolationError as error:
        raise (EmailTaken if error.constraint_name == "users_email_key_key" else CustomerNumberTaken) from None
    return _user(row)


@lru_cache
def _page(arguments: frozenset[str]) -> Select[tuple[object, ...]]:
    place = tuple_(users.c.create_time, users.c.id)
    statement = select(*_COLUMNS).order_by(users.c.create_time.desc(), users.c.id.desc()).limit(bindparam("limit", type_=Integer))
    if "id" in arguments:
        statement = statement.where(place < tuple_(bindparam("create_time"), bindparam("id")))
    if "search" in arguments:
        statement = statement.where(func.strpos(users.c.search_text, bindparam("search")) > 0)
    if "role" in arguments:
        statement = statement.where(users.c.role == bindparam("role"))
    return statement


_COLUMNS = [column for column in users.c if column.name not in ("email_key", "search_text")]
_USER = select(*_COLUMNS).where(users.c.id == bindparam("id"))
_USER_FOR_UPDATE = _USER.with_for_update()
_USER_BY_EMAIL = select(*_COLUMNS).where(users.c.email_key == bindparam("email_key"))
_ADD = (
    insert(users)
    .values({name: bindparam(name) for name in ("id", "email", "email_key", "display_name", "search_text", "role", "password_hash")})
    .on_conflict_do_nothing(index_elements=[users.c.email_key])
    .returning(*_COLUMNS)
)
_SAVED = ("email", "email_key", "display_name", "search_text", "role", "customer_number", "disabled", "password_hash")
_SAVE = (
    update(users)
    .where(users.c.id == bindparam("id"))
    .values({name: bindparam(name) for name in _SAVED} | {"version": users.c.version + 1, "update_time": func.now()})
    .returning(*_COLUMNS)
)
_KEEP_HASH = (
    update(users)
    .where(users.c.id == bindparam("id"), users.c.password_hash == bindparam("old_hash"))
    .values(password_hash=bindparam("password_hash"))
    .returning(*_COLUMNS)
)
_DELETE_USER = delete(users).where(users.c.id == bindparam("id"))
_LOCK_ADMINS = select(func.pg_advisory_xact_lock(func.hashtext("auth admins")))
_ANOTHER_ADMIN = select(
    exists().where(users.c.role == Role.ADMIN.value, users.c.disabled.is_(False), users.c.id != bindparam("id")).select_from(users)
)

_OF_USER = sign_ins.c.user_id == bindparam("user_id")
_END_SIGN_INS = delete(sign_ins).where(_OF_USER)
_END_OTHER_SIGN_INS = delete(sign_ins).where(_OF_USER, sign_ins.c.id != bindparam("current"))
_END_SIGN_IN = delete(sign_ins).where(sign_ins.c.id == bindparam("id")).returning(sign_ins.c.user_id)
_SIGN_IN = (
    insert(sign_ins)
    .from_select(
        ["id", "user_id", "secret_hash", "expire_time", "end_time"],
        select(
            bindparam("id", type_=Uuid),
            users.c.id,
            bindparam("secret_hash", type_=LargeBinary),
            func.now() + func.least(bindparam("idle", type_=Interval), bindparam("lifetime", type_=Interval)),
            func.now() + bindparam("lifetime", type_=Interval),
        )
        .where(users.c.id == bindparam("user_id"), users.c.disabled.is_(False), users.c.password_hash == bindparam("password_hash"))
        # Whoever changes the user waits until the sign-in is there to be ended, or is waited for.
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
    .values(
        secret_hash=bindparam("secret_hash"),
        expire_time=func.least(func.now() + bindparam("idle", type_=Interval), sign_ins.c.end_time),
    )
    .returning(*_COLUMNS)
)
_DELETE_EXPIRED_SIGN_INS = delete(sign_ins).where(sign_ins.c.expire_time < func.now())

_BY_KEY = attempts.c.key == bindparam("key")
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
_DELAY = (
    update(attempts)
    .where(_BY_KEY)
    .values(
        retry_time=func.now() + bindparam("delay", type_=Interval),
        expire_time=func.now() + bindparam("delay", type_=Interval) + WINDOW,
    )
)
_FORGET = delete(attempts).where(_BY_KEY)
_TAKE_BACK = update(attempts).where(_BY_KEY, attempts.c.count > 0).values(count=attempts.c.count - 1, retry_time=None)
_DELETE_EXPIRED_ATTEMPTS = delete(attempts).where(attempts.c.expire_time < func.now())

_SIGNS = and_(signing_keys.c.sign_time.is_not(None), signing_keys.c.retire_time.is_(None))
_KEYS = select(signing_keys.c.id, signing_keys.c.sealed_private_key).order_by(_SIGNS.desc())
_LOCK_KEYS = select(func.pg_advisory_xact_lock(func.hashtext("auth signing keys")))
_ADD_KEY = insert(signing_keys).values(id=bindparam("id"), sealed_private_key=bindparam("sealed_private_key"))
_DROP_KEY = delete(signing_keys).where(signing_keys.c.retire_time < func.now() - KEY_AFTERLIFE)
_RETIRE = update(signing_keys).where(_SIGNS).values(retire_time=func.now())
_START = update(signing_keys).where(signing_keys.c.id == bindparam("id")).values(sign_time=func.now())
_SIGNING_KEY = select(signing_keys.c.id).where(_SIGNS)
_WAITING_KEY = select(signing_keys.c.id).where(signing_keys.c.sign_time.is_(None)).limit(1)
_KEY_NEEDED_UNTIL = select(func.max(signing_keys.c.retire_time) + KEY_AFTERLIFE)

_NOTE_FORGETTING = insert(forgettings).values(user_id=bindparam("user_id"))
_CLAIM_FORGETTING = (
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
        # 8 seconds, which is longer than a try takes, then twice as long each time, up to 512.
        next_time=func.now() + timedelta(seconds=8) * func.power(2, func.least(forgettings.c.tries, 6)),
    )
    .returning(forgettings.c.user_id)
)
_FORGOTTEN = delete(forgettings).where(forgettings.c.user_id == bindparam("user_id"))
