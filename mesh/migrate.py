"""Brings a service's tables up to date: `python -m mesh.migrate auth`."""

import asyncio
import sys
import uuid
import zlib
from pathlib import Path

import asyncpg
import structlog
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from pydantic import PostgresDsn
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from mesh import telemetry
from mesh.settings import EnvironmentSettings, MeshSettings, read

log = structlog.get_logger(__name__)

SERVICES = Path(__file__).resolve().parent.parent / "services"


class Settings(EnvironmentSettings):
    """Read from the environment of the service: `AUTH_DATABASE_URL`, and `AUTH_DATABASE_DIRECT_URL` where that leads to a pooler."""

    database_url: PostgresDsn
    database_direct_url: PostgresDsn | None = None


async def migrate(service: str, url: str) -> None:
    """Runs those of a service's migrations that the database has not seen, all in one transaction, once however many ask at a time.

    They stand in `services/<service>/migrations/`, one Alembic revision a file. Tables and the version live in the schema `service`.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, timeout=_CONNECT_SECONDS, statement_cache_size=0),
        # A pooler's session may know the name of a statement that another client prepared.
        connect_args={"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: f"migration_{uuid.uuid4().hex}"},
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, service)
    finally:
        await engine.dispose()


_CONNECT_SECONDS = 10


def _upgrade(connection: Connection, service: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(f"migrate {service}".encode())})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{service}"'))
    config = Config()
    config.set_main_option("script_location", str(SERVICES / service / "migrations"))
    config.set_main_option("version_locations", str(SERVICES / service / "migrations"))
    config.set_main_option("path_separator", "newline")
    scripts = ScriptDirectory.from_config(config)

    def missing(revision: tuple[str, ...], _context: MigrationContext) -> list[RevisionStep]:
        steps = scripts._upgrade_revs("heads", revision)  # type: ignore[arg-type]  # Alembic calls it so itself
        log.info("migrating", service=service, steps=[step.name for step in steps])
        return steps

    with EnvironmentContext(config, scripts, fn=missing) as environment:
        environment.configure(connection=connection, version_table_schema=service, transactional_ddl=True)
        environment.run_migrations()


def main() -> None:
    """Migrates the services that are named."""
    telemetry.start("migrate", read(MeshSettings))
    for service in sys.argv[1:]:
        settings = read(Settings, prefix=f"{service.upper()}_")
        asyncio.run(migrate(service, str(settings.database_direct_url or settings.database_url)))


if __name__ == "__main__":
    main()
