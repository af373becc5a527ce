"""Migrates the tables of services: `python -m mesh.migrate auth`."""

import asyncio
import sys
import uuid
import zlib
from pathlib import Path

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from pydantic import PostgresDsn
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from mesh import telemetry
from mesh.roles import role_of
from mesh.settings import EnvironmentSettings, MeshSettings, read

SERVICES = Path(__file__).resolve().parent.parent / "services"

_ENVIRONMENT = Path(__file__).resolve().parent / "migrations"
_CONNECT_SECONDS = 10
# A migration that waits for a lock blocks all statements that come after it, so it waits for a short time, and tries again later.
_LOCK_SECONDS = 2
_LOCK_RETRIES = 30
_RETRY_SECONDS = 1
_LIMITS = ("statement_timeout = '15min'", "idle_in_transaction_session_timeout = '1min'", f"lock_timeout = '{_LOCK_SECONDS}s'")
# SQLSTATEs of lock_timeout and of a deadlock.
_LOCKED = ("55P03", "40P01")
# The version is the migrator's, which the service may read.
_GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    "REVOKE INSERT, UPDATE, DELETE ON {schema}.alembic_version FROM {role}",
)

_log = structlog.get_logger(__name__)


class Settings(EnvironmentSettings):
    """Read from the environment of the service: `AUTH_DATABASE_URL`, and `AUTH_DATABASE_DIRECT_URL` where that leads to a pooler."""

    database_url: PostgresDsn
    database_direct_url: PostgresDsn | None = None


class MigratorSettings(EnvironmentSettings, env_prefix="MIGRATOR_"):
    """Read from the environment: the role that owns the tables of all services (`mesh.roles`)."""

    database_url: PostgresDsn | None = None
    """The URL by which the owner of all tables connects. If unset, each service owns its tables."""


async def migrate(service: str, url: str, service_url: str | None = None) -> None:
    """Runs the migrations of a service that the database does not have yet, all in one transaction. Concurrent calls wait for each other.

    Migrations are Alembic revisions in `services/<service>/migrations/`. The tables, and Alembic's version, are in the schema `service`.

    service_url: how the service connects, if not by `url`: its role may read and write the rows, and nothing else
    Raises `DBAPIError` if a migration fails, or a statement of others holds a lock that it needs for more than a minute.
    """
    for retries in reversed(range(_LOCK_RETRIES)):
        try:
            await _migrate(service, url, service_url)
            return
        except DBAPIError as error:
            if not retries or getattr(error.orig, "sqlstate", None) not in _LOCKED:
                raise
        _log.warning("waiting for a lock", service=service)
        await asyncio.sleep(_RETRY_SECONDS)


async def _migrate(service: str, url: str, service_url: str | None) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, timeout=_CONNECT_SECONDS, statement_cache_size=0),
        # Behind a pooler, the session may already have a prepared statement of that name, of another client.
        connect_args={"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: f"migration_{uuid.uuid4().hex}"},
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, service)
            if service_url is not None:
                await connection.run_sync(_grant, service, role_of(service_url))
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(f"migrate {service}".encode())})
    for limit in _LIMITS:
        connection.execute(text(f"SET LOCAL {limit}"))
    # PostgreSQL refuses `IF NOT EXISTS` as well to a role that may not create schemas.
    if not connection.scalar(text("SELECT to_regnamespace(quote_ident(:service))"), {"service": service}):
        connection.execute(text(f'CREATE SCHEMA "{service}"'))
    config = Config(attributes={"connection": connection, "service": service})
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("version_locations", str(SERVICES / service / "migrations"))
    config.set_main_option("path_separator", "newline")
    command.upgrade(config, "heads")


def _grant(connection: Connection, service: str, role: str) -> None:
    for statement in _GRANTS:
        connection.execute(
            text(statement.format(schema=f'"{service}"', role=connection.dialect.identifier_preparer.quote_identifier(role)))
        )


def main() -> None:
    """Migrates the services named on the command line."""
    telemetry.start("migrate", read(MeshSettings))
    migrator = read(MigratorSettings).database_url
    for service in sys.argv[1:]:
        settings = read(Settings, prefix=f"{service.upper()}_")
        if migrator:
            asyncio.run(migrate(service, str(migrator), str(settings.database_url)))
        else:
            asyncio.run(migrate(service, str(settings.database_direct_url or settings.database_url)))


if __name__ == "__main__":
    main()
