"""Repeated requests, in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Text, text

from hashiramart.catalog.v1 import catalog_pb2
from mesh.database import Database, Transaction, connect
from mesh.errors import InvalidArgument
from mesh.idempotency import IdempotentRequest, IdempotentRequests, idempotent_request
from mesh.settings import MeshSettings
from tests.engines.postgres import Postgres

ORDER = IdempotentRequest("ann", "request-1", b"two mugs")

CREATE_TABLE = (
    "CREATE TABLE requests (user_id text, request_id text, digest bytea NOT NULL, price int, create_time timestamptz DEFAULT now(), "
    "PRIMARY KEY (user_id, request_id))"
)
requests = IdempotentRequests(MetaData(), Column("price", Integer), caller=Column("user_id", Text, nullable=False))


@pytest.fixture
async def database(postgres: Postgres, settings: MeshSettings) -> AsyncIterator[Database]:
    async with await connect(postgres.create_database(), settings) as database:
        await database.execute(text(CREATE_TABLE))
        yield database


async def order(database: Database, request: IdempotentRequest | None, price: int) -> int:
    """The price of an order, or what it was when the same order came before."""
    async with database.begin() as transaction:
        earlier: int | None = await requests.claim(transaction, request)
        if earlier is None:
            await requests.answer(transaction, request, price)
        return price if earlier is None else earlier


async def test_a_repeated_request_is_answered_as_before(database: Database) -> None:
    assert [await order(database, ORDER, price) for price in (0, 7, 8)] == [0, 0, 0]


async def test_of_concurrent_requests_one_is_carried_out(database: Database) -> None:
    prices = await asyncio.gather(*(order(database, ORDER, price) for price in range(5)))
    assert len(set(prices)) == 1


async def test_a_request_that_failed_is_carried_out_when_it_is_repeated(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.begin() as transaction:
            assert await requests.claim(transaction, ORDER) is None
            raise RuntimeError
    assert await order(database, ORDER, 7) == 7


async def test_an_answer_may_be_known_beforehand(database: Database) -> None:
    for price, expected in ((7, None), (8, 7)):
        async with database.begin() as transaction:
            assert await requests.claim(transaction, ORDER, answer=price) == expected


async def test_the_same_id_of_another_caller_is_another_request(database: Database) -> None:
    assert [await order(database, ORDER, 7), await order(database, ORDER._replace(caller="bob"), 8)] == [7, 8]


async def test_a_request_without_an_id_is_carried_out_each_time(database: Database) -> None:
    assert [await order(database, None, price) for price in (7, 8)] == [7, 8]


async def test_an_id_cannot_be_used_for_two_requests(database: Database) -> None:
    await order(database, ORDER, 7)
    with pytest.raises(InvalidArgument) as error:
        await order(database, ORDER._replace(digest=b"three mugs"), 8)
    assert error.value.reason == "REQUEST_ID_REUSED"


async def test_an_expired_or_forgotten_request_is_carried_out_again(database: Database) -> None:
    await order(database, ORDER, 7)
    await requests.delete_expired(database)
    assert await order(database, ORDER, 8) == 7
    await requests.delete_expired(database, timedelta(0))
    assert await order(database, ORDER, 8) == 8
    async with database.begin() as transaction:
        await requests.forget(transaction, "ann")
    assert await order(database, ORDER, 9) == 9


async def test_a_whole_response_is_kept_and_can_be_found(database: Database) -> None:
    await database.execute(text("ALTER TABLE requests RENAME price TO answer"))
    await database.execute(text("ALTER TABLE requests ALTER answer TYPE bytea USING NULL"))
    whole = IdempotentRequests(MetaData(), Column("answer", LargeBinary), caller=Column("user_id", Text, nullable=False))

    async def responses(name: str, request: IdempotentRequest | None = ORDER) -> catalog_pb2.Product:
        async def carry_out(_transaction: Transaction) -> catalog_pb2.Product:
            return catalog_pb2.Product(name=name)

        return await whole.once(database, request, catalog_pb2.Product, carry_out)

    assert await whole.find(database, ORDER) is None
    assert [(await responses(name)).name for name in ("", "Mug")] == ["", ""]
    assert await whole.find(database, ORDER) == b""
    assert [(await responses(name, None)).name for name in ("Mug", "Cup")] == ["Mug", "Cup"]
    other = ORDER._replace(digest=b"three mugs")
    for call in (whole.find(database, other), responses("Mug", other)):
        with pytest.raises(InvalidArgument, match="^request_id 'request-1' was used before"):
            await call


async def test_the_digest_of_a_request_depends_on_the_key() -> None:
    message = catalog_pb2.CreateProductRequest(request_id="a")
    plain, keyed, other = (idempotent_request(message, key) for key in (b"", b"secret", b"another"))
    assert plain and keyed and other and len({plain.digest, keyed.digest, other.digest}) == 3
    assert idempotent_request(catalog_pb2.CreateProductRequest()) is None
