"""Stores mail to be sent, and the tokens of mails that were sent."""

from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Interval, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Transaction
from services.auth.tables import mail_tokens, outbox

# Longer than an attempt takes. It doubles with each attempt, up to half an hour.
_FIRST_RETRY = timedelta(seconds=30)
_MAX_DOUBLINGS = 6
# A mail that cannot be sent for so long is given up: its reader has asked for another one.
_GIVE_UP = timedelta(days=1)


class Purpose(StrEnum):
    """What the token of a mail is for."""

    RESET_PASSWORD = "reset_password"  # noqa: S105 a purpose, not a password
    VERIFY_EMAIL = "verify_email"


# How long the token of a mail is valid.
LIFETIMES = {Purpose.RESET_PASSWORD: timedelta(hours=1), Purpose.VERIFY_EMAIL: timedelta(days=3)}


class Mail(NamedTuple):
    """A mail to be sent."""

    id: UUID
    user_id: UUID
    purpose: Purpose
    recipient: str


_ENQUEUE = insert(outbox).values(user_id=bindparam("user_id"), purpose=bindparam("purpose"), recipient=bindparam("recipient"))
_CLAIM = (
    update(outbox)
    .where(
        outbox.c.id
        == select(outbox.c.id)
        .where(outbox.c.next_time <= func.now())
        .order_by(outbox.c.next_time)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(tries=outbox.c.tries + 1, next_time=func.now() + _FIRST_RETRY * func.power(2, func.least(outbox.c.tries, _MAX_DOUBLINGS)))
    .returning(outbox.c.id, outbox.c.user_id, outbox.c.purpose, outbox.c.recipient)
)
_COMPLETE = delete(outbox).where(outbox.c.id == bindparam("id"))
_ADD_TOKEN = insert(mail_tokens).values(
    digest=bindparam("digest"),
    user_id=bindparam("user_id"),
    purpose=bindparam("purpose"),
    recipient=bindparam("recipient"),
    expire_time=func.now() + bindparam("lifetime", type_=Interval),
)
_TAKE_TOKEN = (
    delete(mail_tokens)
    .where(
        mail_tokens.c.digest == bindparam("digest"),
        mail_tokens.c.purpose == bindparam("purpose"),
        mail_tokens.c.expire_time > func.now(),
    )
    .returning(mail_tokens.c.user_id, mail_tokens.c.recipient)
)
_DELETE_TOKENS = delete(mail_tokens).where(mail_tokens.c.user_id == bindparam("user_id"), mail_tokens.c.purpose == bindparam("purpose"))
_DELETE_EXPIRED_TOKENS = delete(mail_tokens).where(mail_tokens.c.expire_time < func.now())
_DELETE_EXPIRED_MAIL = delete(outbox).where(outbox.c.create_time < func.now() - _GIVE_UP)


class MailRepository:
    """The outbox, and the tokens of mails that were sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enqueue(self, user_id: UUID, purpose: Purpose, recipient: str) -> None:
        """Has a mail sent soon."""
        async with self._database.begin() as transaction:
            await enqueue(transaction, user_id, purpose, recipient)

    async def claim(self) -> Mail | None:
        """A mail that is due, or None. Unless completed, it is due again after a delay that doubles each time."""
        row = await self._database.fetch_row(_CLAIM)
        return None if row is None else Mail(row["id"], row["user_id"], Purpose(row["purpose"]), row["recipient"])

    async def add_token(self, mail: Mail, digest: bytes) -> None:
        """Makes a token valid, before it is sent."""
        await self._database.execute(
            _ADD_TOKEN,
            digest=digest,
            user_id=mail.user_id,
            purpose=mail.purpose.value,
            recipient=mail.recipient,
            lifetime=LIFETIMES[mail.purpose],
        )

    async def complete(self, mail: Mail) -> None:
        """Removes a mail that was sent."""
        await self._database.execute(_COMPLETE, id=mail.id)

    async def delete_expired(self) -> None:
        """Deletes expired tokens, and mails that could not be sent for a day."""
        await self._database.execute(_DELETE_EXPIRED_TOKENS)
        await self._database.execute(_DELETE_EXPIRED_MAIL)


async def enqueue(transaction: Transaction, user_id: UUID, purpose: Purpose, recipient: str) -> None:
    """Has a mail sent once the transaction is committed."""
    await transaction.execute(_ENQUEUE, user_id=user_id, purpose=purpose.value, recipient=recipient)


async def take_token(transaction: Transaction, digest: bytes, purpose: Purpose) -> tuple[UUID, str] | None:
    """The user and the address to which a valid token was sent; it is not valid any more. None if it is not valid."""
    row = await transaction.fetch_row(_TAKE_TOKEN, digest=digest, purpose=purpose.value)
    return None if row is None else (row["user_id"], row["recipient"])


async def delete_tokens(transaction: Transaction, user_id: UUID, purpose: Purpose) -> None:
    """Makes all tokens of a user for this purpose invalid."""
    await transaction.execute(_DELETE_TOKENS, user_id=user_id, purpose=purpose.value)
