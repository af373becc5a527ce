"""The tables of the recommender."""

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.recommender.tables import metadata
from tests.loops import Loop


def test_the_migrations_make_what_the_statements_are_written_for(loop: Loop, database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        # The catalog's tables are there too.
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: kind != "schema" or name == "recommender",
            "version_table_schema": "recommender",
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async def compare() -> list[object]:
        engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database_url))
        async with engine.connect() as connection:
            found = await connection.run_sync(differences)
        await engine.dispose()
        return found

    assert loop.run(compare()) == []
