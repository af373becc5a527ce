"""Creates the roles of PostgreSQL with the rights that they need: `python -m mesh.roles auth catalog --owners mlflow`.

It needs no superuser: the administrator's role has CREATEROLE and owns the database, as on managed servers.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

import asyncpg
from pydantic import PostgresDsn

from mesh.settings import EnvironmentSettings, read

_CONNECT_SECONDS = 10
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('hashiramart roles'))"

# What a schema contains that somebody owns, as statements that change the owner. Sequences of columns belong to their tables.
_CHANGES_OF_OWNER = """
    SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, $2::text) FROM pg_namespace
    WHERE nspname = $1 AND nspowner <> to_regrole(quote_ident($2))
    UNION ALL
    SELECT format('ALTER %s %s OWNER TO %I', CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, oid::regclass, $2)
    FROM pg_class c
    WHERE relnamespace = to_regnamespace(quote_ident($1)) AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> to_regrole(quote_ident($2))
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
    UNION ALL
    SELECT format('ALTER TEXT SEARCH DICTIONARY %s OWNER TO %I', d.oid::regdictionary, $2) FROM pg_ts_dict d
    WHERE dictnamespace = to_regnamespace(quote_ident($1)) AND dictowner <> to_regrole(quote_ident($2))
    UNION ALL
    SELECT format('ALTER TEXT SEARCH CONFIGURATION %s OWNER TO %I', c.oid::regconfig, $2) FROM pg_ts_config c
    WHERE cfgnamespace = to_regnamespace(quote_ident($1)) AND cfgowner <> to_regrole(quote_ident($2))
"""


class Login(NamedTuple):
    """The name and password of a role."""

    role: str
    password: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The login that a URL contains."""
        parts = urlsplit(url)
        return cls(role_of(url), unquote(parts.password or ""))


def role_of(url: str) -> str:
    """The role that a URL connects as. Supabase's pooler takes the project after a dot in the user's name."""
    return unquote(urlsplit(url).username or "").partition(".")[0]


async def create_roles(admin_url: str, migrator: Login, services: Mapping[str, Login], owners: Mapping[str, Login]) -> None:
    """Creates the roles, or sets their passwords. What exists already in their schemas gets its new owner.

    migrator: creates the schemas of services and owns what they contain
    services: by schema, whose tables they may read and write once `mesh.migrate` has granted it
    owners: by schema, which they own
    """
    connection = await asyncpg.connect(admin_url, timeout=_CONNECT_SECONDS, statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute(_LOCK)
            for login in (migrator, *services.values(), *owners.values()):
                await _create_role(connection, login)
            await _run(
                connection, "GRANT CREATE ON DATABASE %I TO %I", await connection.fetchval("SELECT current_database()"), migrator.role
            )
            for schema, owner in owners.items():
                await _join(connection, owner.role)
                await _run(connection, "CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I", schema, owner.role)
            for schema, role in {**dict.fromkeys(services, migrator.role), **{name: owner.role for name, owner in owners.items()}}.items():
                await _change_owner(connection, schema, role)
    finally:
        await connection.close()


async def _create_role(connection: asyncpg.Connection, login: Login) -> None:
    exists = await connection.fetchval("SELECT to_regrole(quote_ident($1)) IS NOT NULL", login.role)
    await _run(connection, f"{'ALTER' if exists else 'CREATE'} ROLE %I LOGIN PASSWORD %L", login.role, login.password)
    database = await connection.fetchval("SELECT current_database()")
    await _run(connection, "GRANT CONNECT ON DATABASE %I TO %I", database, login.role)


async def _change_owner(connection: asyncpg.Connection, schema: str, role: str) -> None:
    changes = [row[0] for row in await connection.fetch(_CHANGES_OF_OWNER, schema, role)]
    if changes:
        # A new owner of a schema's contents has to be able to create in it: the schema comes first.
        await _join(connection, role)
    for change in changes:
        await connection.execute(change)


async def _join(connection: asyncpg.Connection, role: str) -> None:
    """Makes the administrator a member of a role, without which it could not give the role anything."""
    if not await connection.fetchval("SELECT pg_has_role(current_user, $1, 'USAGE')", role):
        await _run(connection, "GRANT %I TO CURRENT_USER", role)


async def _run(connection: asyncpg.Connection, statement: str, *names: str) -> None:
    """Runs a statement that takes no parameters, with names (%I) and texts (%L) that PostgreSQL itself quotes."""
    await connection.execute(await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", statement, list(names)))


class _AdminSettings(EnvironmentSettings, env_prefix="ADMIN_"):
    """The administrator's connection."""

    database_url: PostgresDsn


class _RoleSettings(EnvironmentSettings):
    """A role's connection: `AUTH_DATABASE_URL`."""

    database_url: PostgresDsn


def main() -> None:
    """Creates the roles of `MIGRATOR_DATABASE_URL` and of each service named on the command line, as `ADMIN_DATABASE_URL`."""
    parser = argparse.ArgumentParser(prog="python -m mesh.roles", description=main.__doc__)
    parser.add_argument("services", nargs="+", help="services, such as auth: the role of AUTH_DATABASE_URL")
    parser.add_argument("--owners", nargs="*", default=[], help="programs that own their schema, such as mlflow")
    arguments = parser.parse_args()
    admin = str(read(_AdminSettings).database_url)
    [migrator] = _logins(["migrator"]).values()
    try:
        asyncio.run(create_roles(admin, migrator, _logins(arguments.services), _logins(arguments.owners)))
    except (OSError, asyncpg.PostgresError) as error:
        sys.exit(f"The roles of the database could not be created as {role_of(admin)}: {error}")


def _logins(names: Iterable[str]) -> dict[str, Login]:
    return {name: Login.of(str(read(_RoleSettings, prefix=f"{name.upper()}_").database_url)) for name in names}


if __name__ == "__main__":
    main()
