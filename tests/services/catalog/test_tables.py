"""The catalogue's tables."""

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.catalog.tables import metadata
from tests.loops import Loop


def test_migrations_make_the_tables_that_statements_speak_of(loop: Loop, database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"include_schemas": True, "version_table_schema": "catalog"})
        return list(compare_metadata(context, metadata))

    async def compare() -> list[object]:
        engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database_url))
        async with engine.connect() as connection:
            found = await connection.run_sync(differences)
        await engine.dispose()
        return found

    assert loop.run(compare()) == []
