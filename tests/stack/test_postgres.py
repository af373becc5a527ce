"""PostgreSQL from its wheel."""

import asyncio

import asyncpg
import pytest

from tests.engines.postgres import PgBouncer, Postgres


def answer(url: str, question: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_its_data_outlives_a_stop_and_a_crash(postgres: Postgres) -> None:
    url = postgres.create_database()
    answer(url, "CREATE TABLE things AS SELECT 1 AS thing")
    with postgres.stopped(), pytest.raises(OSError):
        answer(url, "SELECT thing FROM things")
    assert answer(url, "SELECT thing FROM things") == 1
    postgres.crash()
    postgres.start()
    assert answer(url, "SELECT thing FROM things") == 1


def test_it_asks_for_the_password(postgres: Postgres) -> None:
    url = postgres.create_database()
    with pytest.raises(asyncpg.InvalidPasswordError):
        answer(url.replace(postgres.password, "another"), "SELECT 1")


def test_each_database_is_empty_and_a_module_keeps_its_own(postgres: Postgres, postgres_url: str) -> None:
    other = postgres.create_database()
    answer(postgres_url, "CREATE TABLE things AS SELECT 1 AS thing")
    assert answer(other, "SELECT to_regclass('things')") is None


def test_text_is_compared_alike_on_every_machine(postgres_url: str) -> None:
    assert (
        answer(postgres_url, "SELECT lower('É') || array(SELECT name FROM unnest('{b,Z,a}'::text[]) AS name ORDER BY name)::text")
        == "é{Z,a,b}"
    )


def test_the_pooler_before_it_keeps_nothing_of_a_session(pgbouncer: PgBouncer, postgres_url: str) -> None:
    url = pgbouncer.url(postgres_url)

    async def backends_of_two_transactions() -> tuple[int, int]:
        ours, other = await asyncpg.connect(url, statement_cache_size=0), await asyncpg.connect(url, statement_cache_size=0)
        try:
            first: int = await ours.fetchval("SELECT pg_backend_pid()")
            # While another's transaction holds the server's connection that we had, we get a new one.
            async with other.transaction():
                await other.fetchval("SELECT 1")
                return first, await ours.fetchval("SELECT pg_backend_pid()")
        finally:
            await ours.close()
            await other.close()

    first, second = asyncio.run(backends_of_two_transactions())
    assert first != second
