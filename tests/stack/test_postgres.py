"""PostgreSQL from the wheel."""

import asyncio

import asyncpg
import pytest

from tests.engines.postgres import PgBouncer, Postgres


def fetch(url: str, query: str) -> object:
    async def execute() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(execute())


def test_data_survive_a_stop_and_a_crash(postgres: Postgres) -> None:
    url = postgres.create_database()
    fetch(url, "CREATE TABLE things AS SELECT 1 AS thing")
    with postgres.stopped(), pytest.raises(OSError):
        fetch(url, "SELECT thing FROM things")
    assert fetch(url, "SELECT thing FROM things") == 1
    postgres.crash()
    postgres.start()
    assert fetch(url, "SELECT thing FROM things") == 1


def test_a_wrong_password_is_rejected(postgres: Postgres) -> None:
    url = postgres.create_database()
    with pytest.raises(asyncpg.InvalidPasswordError):
        fetch(url.replace(postgres.password, "another"), "SELECT 1")


def test_new_databases_are_empty(postgres: Postgres, postgres_url: str) -> None:
    other = postgres.create_database()
    fetch(postgres_url, "CREATE TABLE things AS SELECT 1 AS thing")
    assert fetch(other, "SELECT to_regclass('things')") is None


def test_text_is_ordered_the_same_on_every_machine(postgres_url: str) -> None:
    assert (
        fetch(postgres_url, "SELECT lower('É') || array(SELECT name FROM unnest('{b,Z,a}'::text[]) AS name ORDER BY name)::text")
        == "é{Z,a,b}"
    )


def test_the_pooler_keeps_no_session_state(pgbouncer: PgBouncer, postgres_url: str) -> None:
    url = pgbouncer.url(postgres_url)

    async def backends_of_two_transactions() -> tuple[int, int]:
        ours, other = await asyncpg.connect(url, statement_cache_size=0), await asyncpg.connect(url, statement_cache_size=0)
        try:
            first: int = await ours.fetchval("SELECT pg_backend_pid()")
            # While another client's transaction holds the first server connection, this client gets another one.
            async with other.transaction():
                await other.fetchval("SELECT 1")
                return first, await ours.fetchval("SELECT pg_backend_pid()")
        finally:
            await ours.close()
            await other.close()

    first, second = asyncio.run(backends_of_two_transactions())
    assert first != second
