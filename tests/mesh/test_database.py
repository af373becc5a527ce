"""Statements on a real PostgreSQL, also while it is down."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import ARRAY, Column, DateTime, Integer, MetaData, Table, Text, any_, bindparam, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from mesh.database import Database, connect
from mesh.errors import InvalidArgument, Unavailable
from mesh.settings import MeshSettings
from tests.engines.postgres import PgBouncer, Postgres

products = Table(
    "products",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("stock", Integer, server_default="0"),
    Column("labels", JSONB(none_as_null=True)),
    Column("create_time", DateTime(timezone=True), server_default=func.now()),
)

ADD = insert(products).values(id=bindparam("id"), stock=bindparam("stock"), labels=bindparam("labels")).on_conflict_do_nothing()
BY_ID = select(products).where(products.c.id == bindparam("id"), products.c.stock >= 0)
BY_IDS = select(products.c.id).where(products.c.id == any_(bindparam("ids", type_=ARRAY(Text)))).order_by(products.c.id)
SELL = update(products).where(products.c.id == bindparam("sold")).values(stock=products.c.stock - 1)
COUNT = select(func.count()).select_from(products)
ONE = select(literal(1))
STOCK = select(products.c.stock).where(products.c.id == bindparam("id"))
SLOW = select(func.pg_sleep(bindparam("seconds")))


async def retry_until_available(statement: Callable[[], Awaitable[object]]) -> None:
    """Runs a statement as soon as the database can be reached: a pooler reconnects only a second after a failure."""
    deadline = time.monotonic() + 20
    while True:
        try:
            await statement()
            return
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return postgres.create_database()


@pytest.fixture(params=["direct", "through a pooler"])
async def database(request: pytest.FixtureRequest, url: str, settings: MeshSettings) -> AsyncIterator[Database]:
    """Everything holds behind PgBouncer as well."""
    if request.param == "direct":
        opened = await connect(url, settings)
    else:
        pgbouncer: PgBouncer = request.getfixturevalue("pgbouncer")
        opened = await connect(pgbouncer.url(url), settings.model_copy(update={"database_pooler": True}), direct_url=url)
    async with opened as database:
        await retry_until_available(lambda: database.execute(text("DROP TABLE IF EXISTS products")))
        await database.execute(
            text("CREATE TABLE products (id text PRIMARY KEY, stock int DEFAULT 0, labels jsonb, create_time timestamptz DEFAULT now())")
        )
        yield database


async def test_what_was_written_is_read_back(database: Database) -> None:
    assert await database.execute(ADD, id="mug", stock=3, labels={"size": [1, "é"]}) == 1
    assert await database.execute(ADD, id="mug", stock=4, labels=None) == 0
    row = await database.fetch_row(BY_ID, id="mug")
    assert row
    assert (row["stock"], row["labels"]) == (3, {"size": [1, "é"]})
    assert isinstance(row["create_time"], datetime)
    assert row["create_time"].tzinfo == UTC
    assert await database.fetch_row(BY_ID, id="plate") is None
    assert await database.fetch_value(COUNT) == 1
    assert await database.execute(SELL, sold="mug") == 1


async def test_a_list_goes_in_as_one_array(database: Database) -> None:
    for name in ("a", "b", "c"):
        await database.execute(ADD, id=name, stock=0, labels=None)
    assert [row["id"] for row in await database.fetch(BY_IDS, ids=["c", "a", "x"])] == ["a", "c"]
    assert await database.fetch(BY_IDS, ids=[]) == []


async def test_many_statements_at_once_share_the_pool(database: Database) -> None:
    added = await asyncio.gather(*(database.execute(ADD, id=f"p{n}", stock=n, labels=None) for n in range(100)))
    assert sum(added) == await database.fetch_value(COUNT) == 100


async def test_a_transaction_takes_effect_as_a_whole_or_not_at_all(database: Database) -> None:
    async with database.begin() as transaction:
        await transaction.execute(ADD, id="mug", stock=1, labels=None)
        await transaction.execute(ADD, id="plate", stock=1, labels=None)
        assert await database.fetch_value(COUNT) == 0
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with database.begin() as transaction:
            await transaction.execute(SELL, sold="mug")
            raise RuntimeError("changed my mind")
    assert [row["stock"] for row in await database.fetch(select(products))] == [1, 1]


async def test_a_cancelled_transaction_is_rolled_back(database: Database) -> None:
    async def add_slowly() -> None:
        async with database.begin() as transaction:
            await transaction.execute(ADD, id="mug", stock=1, labels=None)
            await transaction.fetch_value(SLOW, seconds=3.0)

    adding = asyncio.create_task(add_slowly())
    await asyncio.sleep(0.3)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert await database.fetch_value(COUNT) == 0


async def test_parameters_that_do_not_fit_raise_an_error_with_their_names(database: Database) -> None:
    with pytest.raises(TypeError, match=re.escape("takes ['id'], and was given ['name']")):
        await database.fetch(BY_ID, name="mug")
    with pytest.raises(TypeError, match="a list goes in as one array"):
        await database.fetch(select(products).where(products.c.id.in_(["a", "b"])))


async def test_text_that_postgresql_cannot_store_is_an_invalid_argument(database: Database) -> None:
    with pytest.raises(InvalidArgument):
        await database.fetch(BY_ID, id="a\x00b")


async def test_a_statement_that_takes_too_long_is_cancelled(url: str, settings: MeshSettings) -> None:
    async with await connect(url, settings.model_copy(update={"database_statement_seconds": 0.2})) as database:
        begin = time.monotonic()
        with pytest.raises(Unavailable):
            await database.fetch_value(SLOW, seconds=10.0)
        assert time.monotonic() - begin < 5


async def test_a_pool_that_stays_busy_is_unavailable_and_passes_the_ping(url: str, settings: MeshSettings) -> None:
    small = settings.model_copy(update={"database_pool_size": 1, "database_acquire_seconds": 0.2})
    async with await connect(url, small) as database, database.begin():
        with pytest.raises(Unavailable) as refused:
            await database.fetch_value(ONE)
        assert refused.value.reason == "DATABASE_UNAVAILABLE"
        await database.ping()


async def test_while_postgresql_is_down_everything_is_quickly_unavailable(database: Database, postgres: Postgres) -> None:
    await asyncio.gather(*(database.fetch_value(ONE) for _ in range(20)))
    with postgres.stopped():
        for statement in (database.fetch_value(ONE), database.execute(ADD, id="a", stock=0, labels=None), database.ping()):
            begin = time.monotonic()
            with pytest.raises(Unavailable) as refused:
                await statement
            assert (refused.value.reason, refused.value.retry_after_seconds) == ("DATABASE_UNAVAILABLE", 1)
            assert time.monotonic() - begin < 5
        with pytest.raises(Unavailable):
            async with database.begin():
                pass


async def test_reads_go_on_after_postgresql_was_restarted_as_if_nothing_had_happened(
    url: str, settings: MeshSettings, postgres: Postgres
) -> None:
    async with await connect(url, settings) as database:
        await asyncio.gather(*(database.fetch_value(SLOW, seconds=0.05) for _ in range(20)))
        with postgres.stopped():
            pass
        assert await asyncio.gather(*(database.fetch_value(ONE) for _ in range(20))) == [1] * 20


async def test_writes_and_transactions_recover_without_a_restart(database: Database, postgres: Postgres) -> None:
    await asyncio.gather(*(database.fetch_value(SLOW, seconds=0.05) for _ in range(20)))
    with postgres.stopped():
        pass

    async def add() -> None:
        async with database.begin() as transaction:
            await transaction.execute(ADD, id="mug", stock=1, labels=None)

    await retry_until_available(add)
    await retry_until_available(lambda: database.execute(ADD, id="plate", stock=1, labels=None))
    await retry_until_available(database.ping)
    assert await database.fetch_value(COUNT) == 2


async def test_a_server_that_does_not_respond_is_soon_unavailable(settings: MeshSettings) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, await connect(f"postgresql://ann@127.0.0.1:{port}/shop", settings) as database:
        for statement in (database.fetch_value(ONE), database.ping()):
            begin = time.monotonic()
            with pytest.raises(Unavailable):
                await statement
            assert time.monotonic() - begin < 5


async def test_pings_at_once_do_not_disturb_each_other(database: Database) -> None:
    await asyncio.gather(*(database.ping() for _ in range(5)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await database.ping()
    await asyncio.gather(*(database.ping() for _ in range(5)))


async def test_notifications_arrive_until_the_connection_is_lost(database: Database, postgres: Postgres) -> None:
    assert database.can_listen
    async with database.listen("products") as heard:
        await database.fetch_value(select(func.pg_notify("products", "mug")))
        assert await anext(heard) == "mug"
        with postgres.stopped(), pytest.raises(Unavailable):
            await anext(heard)


async def test_listening_needs_more_than_a_pooler(settings: MeshSettings, url: str) -> None:
    async with await connect(url, settings.model_copy(update={"database_pooler": True})) as database:
        assert not database.can_listen


async def test_a_statement_waits_for_a_lock_for_a_limited_time(database: Database) -> None:
    await database.execute(ADD, id="mug", stock=1, labels=None)
    begin = time.monotonic()
    async with database.begin() as transaction:
        await transaction.execute(SELL, sold="mug")
        with pytest.raises(Unavailable) as refused:
            await database.execute(SELL, sold="mug")
    assert refused.value.reason == "DATABASE_BUSY"
    assert 2.5 < time.monotonic() - begin < 4.5
    assert await database.execute(SELL, sold="mug") == 1


async def test_of_two_that_wait_for_each_other_one_can_be_retried(database: Database) -> None:
    for name in ("mug", "plate"):
        await database.execute(ADD, id=name, stock=5, labels=None)
    both_hold_one = asyncio.Barrier(2)

    async def sell(first: str, second: str) -> str:
        try:
            async with database.begin() as transaction:
                await transaction.execute(SELL, sold=first)
                await both_hold_one.wait()
                await transaction.execute(SELL, sold=second)
        except Unavailable as error:
            return error.reason
        return "OK"

    assert sorted(await asyncio.gather(sell("mug", "plate"), sell("plate", "mug"))) == ["DATABASE_BUSY", "OK"]
    assert [row["stock"] for row in await database.fetch(select(products))] == [4, 4]


async def test_a_statement_that_a_deadlock_has_ended_is_repeated(database: Database, url: str, settings: MeshSettings) -> None:
    """Locks rows in one order while another transaction locks them in the other, and gives up its own after one deadlock."""
    for name in ("mug", "plate"):
        await database.execute(ADD, id=name, stock=5, labels=None)
    # It waits for the plate, which the other holds, while it holds the mug, for which the other waits then.
    sell_both = text("""
        WITH mug AS MATERIALIZED (UPDATE products SET stock = stock - 1 WHERE id = 'mug' RETURNING id)
        SELECT 1 FROM mug, LATERAL (SELECT FROM products WHERE id = 'plate' AND mug.id <> '' FOR UPDATE) AS plate
    """)
    is_waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid())"
    other = await asyncpg.connect(url)
    # On a busy machine, PostgreSQL takes a while to notice.
    patient = await connect(url, settings.model_copy(update={"database_lock_seconds": 30, "database_statement_seconds": 30}))

    async def deadlock_ends_the_statement() -> bool:
        """Whether PostgreSQL ended the statement, once: that depends on which of the two notices first, and who is first afterwards."""
        async with other.transaction():
            await other.execute("UPDATE products SET stock = stock - 1 WHERE id = 'plate'")
            selling = asyncio.create_task(patient.execute(sell_both))
            while not await other.fetchval(is_waiting):
                await asyncio.sleep(0.02)
            try:
                async with other.transaction():
                    await other.execute("UPDATE products SET stock = stock - 1 WHERE id = 'mug'")
            except asyncpg.DeadlockDetectedError:
                survived = False
            else:
                survived = True
        try:
            assert await selling == 1
        except Unavailable as error:
            # Repeated before the other had its turn, it was ended again.
            assert (error.reason, survived) == ("DATABASE_BUSY", True)
            return False
        return survived

    try:
        for _ in range(5):
            before = await database.fetch_value(STOCK, id="mug")
            if await deadlock_ends_the_statement():
                break
        else:
            pytest.fail("the statement never was the one that was ended")
        assert await database.fetch_value(STOCK, id="mug") == before - 2
    finally:
        await patient.close()
        await other.close()


async def test_a_transaction_whose_process_hangs_lets_others_go_on(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch, settings: MeshSettings, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("mesh.database._IDLE_SECONDS", 1)
    await database.execute(ADD, id="mug", stock=5, labels=None)
    pooled: bool = database._settings.database_pooler
    address = request.getfixturevalue("pgbouncer").url(url) if pooled else url
    async with await connect(address, settings.model_copy(update={"database_pooler": pooled})) as hanging:
        with pytest.raises(Unavailable):
            async with hanging.begin() as transaction:
                await transaction.execute(SELL, sold="mug")
                assert await database.execute(SELL, sold="mug") == 1
    assert await database.fetch_value(select(products.c.stock)) == 4
