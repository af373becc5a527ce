"""The roles of PostgreSQL: each service reaches its own rows, and the administrator need not be a superuser."""

import asyncio
import os
import subprocess
import sys
from typing import Any

import asyncpg
import pytest

from mesh.migrate import migrate
from tests.engines.postgres import Postgres, create_service_roles
from tests.services.database import migrate_services


@pytest.fixture(scope="module")
def urls(postgres: Postgres) -> dict[str, str]:
    """A database with the tables of two services, by role."""
    return migrate_services(postgres.create_database(), "auth", "jobs")


def sql(url: str, statement: str) -> Any:
    """The first value of the result of a statement."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM jobs.jobs",
        "DELETE FROM jobs.jobs",
        "DROP TABLE auth.users",
        "ALTER TABLE auth.users ADD COLUMN back_door text",
        "TRUNCATE auth.users CASCADE",
        "CREATE TABLE auth.loot (row text)",
        "CREATE TABLE public.loot (row text)",
        "CREATE SCHEMA loot",
        "UPDATE auth.alembic_version SET version_num = '0000'",
        "CREATE ROLE back_door LOGIN",
        "COPY auth.users TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT passwd FROM pg_shadow",
        "CREATE EXTENSION vector",
    ],
)
def test_a_stolen_connection_of_a_service_reaches_its_own_rows_only(urls: dict[str, str], statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        sql(urls["auth"], statement)


def test_a_service_reads_and_writes_its_own_rows(urls: dict[str, str]) -> None:
    sql(urls["auth"], "INSERT INTO auth.attempts VALUES ('key', 1, NULL, now())")
    sql(urls["auth"], "UPDATE auth.attempts SET count = 2")
    assert sql(urls["auth"], "SELECT count FROM auth.attempts") == 2
    sql(urls["auth"], "DELETE FROM auth.attempts")


def test_no_role_is_a_superuser_or_creates_roles_and_databases(urls: dict[str, str]) -> None:
    powers = """
        SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = current_user
    """
    for url in urls.values():
        assert sql(url, powers) is False


def test_tables_of_a_database_that_had_one_role_get_their_owner(postgres: Postgres) -> None:
    owner = postgres.create_database()
    for service in ("auth", "catalog", "jobs"):
        asyncio.run(migrate(service, owner))
    sql(owner, "INSERT INTO auth.attempts VALUES ('key', 1, NULL, now())")
    urls = create_service_roles(owner)
    for service in ("auth", "catalog", "jobs"):
        asyncio.run(migrate(service, urls["migrator"], urls[service]))
    assert sql(urls["auth"], "SELECT count FROM auth.attempts") == 1
    assert sql(urls["migrator"], "ALTER TEXT SEARCH CONFIGURATION catalog.words RENAME TO terms") is None
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        sql(urls["auth"], "SELECT count(*) FROM catalog.products")


def test_another_run_changes_the_passwords(postgres: Postgres) -> None:
    owner = postgres.create_database()
    before, after = create_service_roles(owner), create_service_roles(owner)
    assert sql(after["auth"], "SELECT 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        sql(before["auth"], "SELECT 1")


def test_the_commands_take_the_roles_from_the_urls_of_the_services(postgres: Postgres) -> None:
    owner = postgres.create_database()
    urls = {role: url for role, url in create_service_roles(owner).items() if role in ("migrator", "auth", "mlflow")}
    environment = {f"{role.upper()}_DATABASE_URL": url for role, url in urls.items()} | {"ADMIN_DATABASE_URL": owner}

    def run(*arguments: str, **changes: str) -> str:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, env=os.environ | environment | changes, capture_output=True, text=True, check=False).stderr

    assert "Traceback" not in run("mesh.roles", "auth", "--owners", "mlflow")
    run("mesh.migrate", "auth")
    assert sql(urls["auth"], "SELECT count(*) FROM auth.users") == 0
    assert sql(urls["mlflow"], "CREATE TABLE mlflow.runs ()") is None
    refusal = run("mesh.roles", "auth", ADMIN_DATABASE_URL=urls["auth"])
    assert refusal.startswith("The roles of the database could not be created as test_")
    assert "permission denied" in refusal
