"""PostgreSQL from its wheel."""

import asyncio

import asyncpg
import pytest

from tests.engines import Postgres


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
    user_and_password, address = postgres.url("postgres").split("@")
    with pytest.raises(asyncpg.InvalidPasswordError):
        answer(f"{user_and_password}-not@{address}", "SELECT 1")


def test_each_database_is_empty_and_a_module_keeps_its_own(postgres: Postgres, postgres_url: str) -> None:
    other = postgres.create_database()
    answer(postgres_url, "CREATE TABLE things AS SELECT 1 AS thing")
    assert answer(other, "SELECT to_regclass('things')") is None


def test_text_is_compared_alike_on_every_machine(postgres_url: str) -> None:
    assert (
        answer(postgres_url, "SELECT lower('É') || array(SELECT name FROM unnest('{b,Z,a}'::text[]) AS name ORDER BY name)::text")
        == "é{Z,a,b}"
    )
