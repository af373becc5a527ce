"""Migrates the tables of services: `python -m mesh.migrate auth`."""

import asyncio
import sys
import uuid
import zlib
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from pydantic import PostgresDsn
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from mesh import telemetry
from mesh.settings import EnvironmentSettings, MeshSettings, read

SERVICES = Path(__file__).resolve().parent.parent / "services"

_ENVIRONMENT = Path(__file__).resolve().parent / "migrations"
_CONNECT_SECONDS = 10


class Settings(EnvironmentSettings):
    """Read from the environment of the service: `AUTH_DATABASE_URL`, and `AUTH_DATABASE_DIRECT_URL` where that leads to a pooler."""

    database_url: PostgresDsn
    database_direct_url: PostgresDsn | None = None


async def migrate(service: str, url: str) -> None:
    """Runs the migrations of a service that the database does not have yet, all in one transaction. Concurrent calls wait for each other.

    Migrations are Alembic revisions in `services/<service>/migrations/`. The tables, and Alembic's version, are in the schema `service`.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, timeout=_CONNECT_SECONDS, statement_cache_size=0),
        # Behind a pooler, the session may already have a prepared statement of that name, of another client.
        connect_args={"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: f"migration_{uuid.uuid4().hex}"},
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, service)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(f"migrate {service}".encode())})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{service}"'))
    config = Config(attributes={"connection": connection, "service": service})
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("version_locations", str(SERVICES / service / "migrations"))
    config.set_main_option("path_separator", "newline")
    command.upgrade(config, "heads")


def main() -> None:
    """Migrates the services named on the command line."""
    telemetry.start("migrate", read(MeshSettings))
    for service in sys.argv[1:]:
        settings = read(Settings, prefix=f"{service.upper()}_")
        asyncio.run(migrate(service, str(settings.database_direct_url or settings.database_url)))


if __name__ == "__main__":
    main()
