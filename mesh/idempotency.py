"""Idempotent requests: the same request under the same id, by the same caller, is carried out once and answered alike."""

import hmac
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message
from sqlalchemy import (
    Column,
    DateTime,
    Interval,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Transaction
from mesh.errors import InvalidArgument
from mesh.identity import caller

Response = TypeVar("Response", bound=Message)

# What the contracts promise.
RETENTION = timedelta(days=1)


class IdempotentRequest(NamedTuple):
    """A request that its caller may repeat."""

    caller: str
    id: str
    digest: bytes
    """The SHA-256 digest of all that it asks for."""


def idempotent_request(request: Message, key: bytes = b"") -> IdempotentRequest | None:
    """The request being served as one that may be repeated, or None if its caller gave no `request_id`.

    key: makes the digest useless to those who do not have it; for requests with passwords, which a plain digest would let them guess
    """
    id: str = getattr(request, "request_id")  # noqa: B009 every such request has one, which `Message` does not say
    if not id:
        return None
    content = request.DESCRIPTOR.full_name.encode() + request.SerializeToString(deterministic=True)
    return IdempotentRequest(caller().subject, id, hmac.digest(key, content, "sha256") if key else sha256(content).digest())


class IdempotentRequests:
    """The requests that a service has carried out, and how each was answered, in the table `requests` of its schema."""

    def __init__(self, metadata: MetaData, answer: Column[Any], caller: Column[Any] | None = None) -> None:
        """answer: what is kept of the answer; null while the request is being carried out, unless it is known before
        caller: the column of the caller's id, if it is not called `caller`
        """
        caller = Column("caller", Text, nullable=False) if caller is None else caller
        self.table = Table(
            "requests",
            metadata,
            caller,
            Column("request_id", Text, nullable=False),
            Column("digest", LargeBinary, nullable=False),
            answer,
            Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
            PrimaryKeyConstraint(caller.name, "request_id"),
        )
        requests = self.table.c
        given = {"request_id": bindparam("request_id"), "digest": bindparam("digest"), answer.name: bindparam("answer", type_=answer.type)}
        of_caller = requests[caller.name] == bindparam("caller_id", type_=Text)
        same = of_caller & (requests.request_id == bindparam("request_id"))
        self._claim = insert(self.table).values({caller.name: bindparam("caller_id"), **given}).on_conflict_do_nothing()
        self._find = select(requests.digest, requests[answer.name]).where(same)
        self._answer = update(self.table).where(same).values({answer.name: bindparam("answer", type_=answer.type)})
        self._forget = delete(self.table).where(of_caller)
        self._delete_expired = delete(self.table).where(requests.create_time < func.now() - bindparam("age", type_=Interval))

    async def once(
        self,
        database: Database,
        request: IdempotentRequest | None,
        response: type[Response],
        carry_out: Callable[[Transaction], Awaitable[Response]],
    ) -> Response:
        """The response to a request: that of the first time, or else what `carry_out` returns. What is kept is the response as a whole.

        Raises `InvalidArgument` if the caller used the id for another request, and what `carry_out` raises.
        """
        async with database.begin() as transaction:
            earlier: bytes | None = await self.claim(transaction, request)
            if earlier is not None:
                return response.FromString(earlier)
            answer = await carry_out(transaction)
            await self.answer(transaction, request, answer.SerializeToString())
            return answer

    async def find(self, database: Database, request: IdempotentRequest | None) -> Any:
        """The answer to the same request if it was carried out before, otherwise None.

        It saves work before a transaction, which still has to claim the request. Raises `InvalidArgument` as `claim` does.
        """
        if request is None or (row := await database.fetch_row(self._find, caller_id=request.caller, request_id=request.id)) is None:
            return None
        return _same_answer(request, *row)

    async def claim(self, transaction: Transaction, request: IdempotentRequest | None, answer: object = None) -> Any:
        """The answer to the same request if it was carried out before. Otherwise None: then this transaction has to carry it out.

        A concurrent caller with the same request waits here until that transaction has ended.

        answer: what will be answered, if that is known; otherwise call `answer` in the same transaction
        Raises `InvalidArgument` if the caller used the id for another request.
        """
        if request is None:
            return None
        key = {"caller_id": request.caller, "request_id": request.id}
        if await transaction.execute(self._claim, **key, digest=request.digest, answer=answer):
            return None
        [row] = await transaction.fetch(self._find, **key)
        return _same_answer(request, *row)

    async def answer(self, transaction: Transaction, request: IdempotentRequest | None, answer: object) -> None:
        """Keeps the answer to a request that this transaction has claimed."""
        if request is not None:
            await transaction.execute(self._answer, caller_id=request.caller, request_id=request.id, answer=answer)

    async def forget(self, transaction: Transaction, caller: str) -> None:
        """Deletes all requests of a caller."""
        await transaction.execute(self._forget, caller_id=caller)

    async def delete_expired(self, database: Database, age: timedelta = RETENTION) -> None:
        """Deletes the requests that are older."""
        await database.execute(self._delete_expired, age=age)


def _same_answer(request: IdempotentRequest, digest: bytes, answer: Any) -> Any:
    if digest != request.digest:
        raise InvalidArgument(
            "request_id '{request_id}' was used before for another request",
            field="request_id",
            reason="REQUEST_ID_REUSED",
            request_id=request.id,
        )
    return answer
