"""Stores users."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid4

from asyncpg import Record, UniqueViolationError
from sqlalchemy import Integer, Select, bindparam, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Transaction
from mesh.errors import NotFound
from mesh.idempotency import IdempotentRequest
from mesh.identity import Role
from services.auth.domain import CustomerNumberTaken, EmailTaken, InvalidMailToken, LastAdmin, User, comparison_key
from services.auth.repository.mail import Purpose, delete_tokens, enqueue, take_token
from services.auth.repository.revocations import end_sign_ins, revoke
from services.auth.tables import forgettings, requests, sign_ins, users

USER_COLUMNS = [column for column in users.c if column.name not in ("email_key", "search_text")]

_GET = select(*USER_COLUMNS).where(users.c.id == bindparam("id"))
_LOCK = _GET.with_for_update()
_FIND_BY_EMAIL = select(*USER_COLUMNS).where(users.c.email_key == bindparam("email_key"))

_CREATED_COLUMNS = ("id", "email", "email_key", "display_name", "search_text", "role", "password_hash")
_CREATE = (
    insert(users)
    .values({name: bindparam(name) for name in _CREATED_COLUMNS})
    .on_conflict_do_nothing(index_elements=[users.c.email_key])
    .returning(*USER_COLUMNS)
)
_SAVED_COLUMNS = (
    "email",
    "email_key",
    "display_name",
    "search_text",
    "role",
    "customer_number",
    "disabled",
    "password_hash",
    "verified_email",
)
_SAVE = (
    update(users)
    .where(users.c.id == bindparam("id"))
    .values({name: bindparam(name) for name in _SAVED_COLUMNS} | {"version": users.c.version + 1, "update_time": func.now()})
    .returning(*USER_COLUMNS)
)
_REHASH = (
    update(users)
    .where(users.c.id == bindparam("id"), users.c.password_hash == bindparam("old_hash"))
    .values(password_hash=bindparam("password_hash"))
    .returning(*USER_COLUMNS)
)
_DELETE = delete(users).where(users.c.id == bindparam("id"))
_RECORD_FORGETTING = insert(forgettings).values(user_id=bindparam("user_id"))

_LOCK_ADMINS = select(func.pg_advisory_xact_lock(func.hashtext("auth admins")))
_ANOTHER_ADMIN = select(
    exists().where(users.c.role == Role.ADMIN.value, users.c.disabled.is_(False), users.c.id != bindparam("id")).select_from(users)
)

_OF_USER = sign_ins.c.user_id == bindparam("user_id")
_ENDED = (sign_ins.c.id, sign_ins.c.user_id)
END_SIGN_INS = delete(sign_ins).where(_OF_USER).returning(*_ENDED)
END_OTHER_SIGN_INS = delete(sign_ins).where(_OF_USER, sign_ins.c.id != bindparam("current")).returning(*_ENDED)


class UserRepository:
    """Users. A change that ends their sign-ins does so in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, id: UUID) -> User | None:
        row = await self._database.fetch_row(_GET, id=id)
        return user_from_row(row) if row else None

    async def find_by_email(self, email: str) -> User | None:
        """The user with this e-mail address, whatever its case."""
        row = await self._database.fetch_row(_FIND_BY_EMAIL, email_key=comparison_key(email))
        return user_from_row(row) if row else None

    async def page(self, after: tuple[datetime, UUID] | None, limit: int, search: str, role: Role | None) -> list[User]:
        """Users, newest first.

        after: the creation time and the id of the user before the first one; None to begin with the newest
        search: a part of the e-mail address or the name, in any case; empty for all users
        """
        parameters: dict[str, object] = {"limit": limit}
        if after is not None:
            parameters |= {"create_time": after[0], "id": after[1]}
        if search:
            parameters |= {"search": comparison_key(search)}
        if role is not None:
            parameters |= {"role": role.value}
        return [user_from_row(row) for row in await self._database.fetch(_page(frozenset(parameters)), **parameters)]

    async def find_answer(self, request: IdempotentRequest | None) -> User | None:
        """The user that a request created or updated before. Raises `InvalidArgument` if its id was used for another request."""
        id: UUID | None = await requests.find(self._database, request)
        return None if id is None else await self.get(id)

    async def create(self, email: str, display_name: str, role: Role, password_hash: str, request: IdempotentRequest | None = None) -> User:
        """Creates a user. Raises `EmailTaken`, or `InvalidArgument` if the request's id was used for another request."""
        async with self._database.begin() as transaction:
            earlier_id = await requests.claim(transaction, request)
            if earlier_id is not None:
                return await lock_user(transaction, earlier_id)
            row = await transaction.fetch_row(
                _CREATE,
                id=uuid4(),
                email=email,
                email_key=comparison_key(email),
                display_name=display_name,
                search_text=_search_text(email, display_name),
                role=role.value,
                password_hash=password_hash,
            )
            if row is None:
                raise EmailTaken
            user = user_from_row(row)
            await enqueue(transaction, user.id, Purpose.VERIFY_EMAIL, user.email)
            await requests.answer(transaction, request, user.id)
            return user

    async def update(
        self, id: UUID, apply: Callable[[User], User], request: IdempotentRequest | None = None, *, current_sign_in: UUID | None = None
    ) -> User:
        """Saves the user that `apply` returns for the current one.

        A new password ends all sign-ins but `current_sign_in`; disabling ends all. Raises `NotFound`, `EmailTaken`,
        `CustomerNumberTaken`, `LastAdmin`, `InvalidArgument` if the request's id was used for another request, and what `apply` raises.
        """
        async with self._database.begin() as transaction:
            user = await lock_user(transaction, id)
            if await requests.claim(transaction, request, answer=id) is not None:
                return user
            updated = apply(user)
            if updated == user:
                return user
            if user.is_active_admin and not updated.is_active_admin:
                await _require_another_admin(transaction, id)
            saved = await _save(transaction, updated)
            if updated.claims != user.claims:
                await revoke(transaction, [id])
            if saved.email != user.email:
                await enqueue(transaction, id, Purpose.VERIFY_EMAIL, saved.email)
            if updated.disabled or (current_sign_in is None and updated.password_hash != user.password_hash):
                await end_sign_ins(transaction, END_SIGN_INS, user_id=id)
            elif updated.password_hash != user.password_hash:
                await end_sign_ins(transaction, END_OTHER_SIGN_INS, user_id=id, current=current_sign_in)
            return saved

    async def reset_password(self, token_digest: bytes, password_hash: str) -> UUID:
        """Sets the password of the user to whom a token was mailed, whose id is returned. Raises `InvalidMailToken`.

        All sign-ins end, other tokens for a new password are invalid, and the address of the mail is verified.
        """
        async with self._database.begin() as transaction:
            taken = await take_token(transaction, token_digest, Purpose.RESET_PASSWORD)
            if taken is None:
                raise InvalidMailToken
            user_id, recipient = taken
            user = await lock_user(transaction, user_id)
            # Who has another address by now does not get the account by a mail to the old one.
            if user.disabled or user.email != recipient:
                raise InvalidMailToken
            await _save(transaction, replace(user, password_hash=password_hash, verified_email=recipient))
            await end_sign_ins(transaction, END_SIGN_INS, user_id=user_id)
            await delete_tokens(transaction, user_id, Purpose.RESET_PASSWORD)
            return user_id

    async def verify_email(self, token_digest: bytes) -> UUID:
        """Verifies the address to which a token was mailed. Returns the user's id. Raises `InvalidMailToken`."""
        async with self._database.begin() as transaction:
            taken = await take_token(transaction, token_digest, Purpose.VERIFY_EMAIL)
            if taken is None:
                raise InvalidMailToken
            user_id, recipient = taken
            user = await lock_user(transaction, user_id)
            if user.email != recipient:
                raise InvalidMailToken
            await _save(transaction, replace(user, verified_email=recipient))
            return user_id

    async def rehash(self, user: User, password_hash: str) -> User:
        """Stores another hash of the same password, unless the password was changed meanwhile."""
        row = await self._database.fetch_row(_REHASH, id=user.id, password_hash=password_hash, old_hash=user.password_hash)
        return user_from_row(row) if row else user

    async def delete_expired_requests(self) -> None:
        """Deletes the idempotent requests that have expired."""
        await requests.delete_expired(self._database)

    async def delete(self, id: UUID) -> None:
        """Deletes a user with all sign-ins, and records that the user's events are to be forgotten. Raises `NotFound`, `LastAdmin`."""
        async with self._database.begin() as transaction:
            user = await lock_user(transaction, id)
            if user.is_active_admin:
                await _require_another_admin(transaction, id)
            await transaction.execute(_DELETE, id=id)
            await revoke(transaction, [id])
            await transaction.execute(_RECORD_FORGETTING, user_id=id)


def user_from_row(row: Record) -> User:
    """The user in a row of `USER_COLUMNS`."""
    return User(**{**row, "role": Role(row["role"])})


async def lock_user(transaction: Transaction, id: UUID) -> User:
    """The user, whom no other transaction changes until the end of this one. Raises `NotFound`."""
    row = await transaction.fetch_row(_LOCK, id=id)
    if row is None:
        raise NotFound("user", str(id))
    return user_from_row(row)


@lru_cache
def _page(parameters: frozenset[str]) -> Select[tuple[object, ...]]:
    place = tuple_(users.c.create_time, users.c.id)
    statement = select(*USER_COLUMNS).order_by(users.c.create_time.desc(), users.c.id.desc()).limit(bindparam("limit", type_=Integer))
    if "id" in parameters:
        statement = statement.where(place < tuple_(bindparam("create_time"), bindparam("id")))
    if "search" in parameters:
        statement = statement.where(func.strpos(users.c.search_text, bindparam("search")) > 0)
    if "role" in parameters:
        statement = statement.where(users.c.role == bindparam("role"))
    return statement


async def _require_another_admin(transaction: Transaction, id: UUID) -> None:
    # One transaction after the other: two admins who demote each other at once would both see the other one remain.
    await transaction.execute(_LOCK_ADMINS)
    if not await transaction.fetch_value(_ANOTHER_ADMIN, id=id):
        raise LastAdmin


async def _save(transaction: Transaction, user: User) -> User:
    try:
        [row] = await transaction.fetch(
            _SAVE,
            id=user.id,
            email=user.email,
            email_key=comparison_key(user.email),
            display_name=user.display_name,
            search_text=_search_text(user.email, user.display_name),
            role=user.role.value,
            customer_number=user.customer_number,
            disabled=user.disabled,
            password_hash=user.password_hash,
            verified_email=user.verified_email,
        )
    except UniqueViolationError as error:
        raise (EmailTaken if error.constraint_name == "users_email_key_key" else CustomerNumberTaken) from None
    return user_from_row(row)


def _search_text(email: str, display_name: str) -> str:
    return comparison_key(f"{email}\n{display_name}")
