"""Compares a service's tables with those that its migrations create."""

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine


async def schema_differences(database_url: str, metadata: MetaData, ignored_schemas: frozenset[str] = frozenset()) -> list[object]:
    """The differences between a migrated database and the tables of a service, as Alembic operations.

    ignored_schemas: the schemas of other services in the same database
    """

    def compare(connection: Connection) -> list[object]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: kind != "schema" or name not in ignored_schemas,
            "version_table_schema": metadata.schema,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database_url))
    async with engine.connect() as connection:
        differences = await connection.run_sync(compare)
    await engine.dispose()
    return differences
