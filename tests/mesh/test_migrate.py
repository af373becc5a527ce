"""Migrations of a service's tables."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from mesh import migrate as migrations
from mesh.database import connect
from mesh.migrate import migrate
from mesh.settings import MeshSettings
from tests.engines.postgres import PgBouncer, Postgres

FIRST = """
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    op.execute("CREATE TABLE shelf.products (id text PRIMARY KEY)")
"""

SECOND = """
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.execute("INSERT INTO shelf.products VALUES ('mug')")
"""

BROKEN = """
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.execute("INSERT INTO shelf.products VALUES ('plate')")
    op.execute("INSERT INTO shelf.products VALUES ('mug')")
"""

PRODUCTS = text("SELECT id FROM shelf.products ORDER BY id")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the migrations of the service `shelf`."""
    monkeypatch.setattr(migrations, "SERVICES", tmp_path)
    folder = tmp_path / "shelf" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_products.py").write_text(FIRST)
    return folder


@pytest.fixture(params=["direct", "through a pooler"])
def url(request: pytest.FixtureRequest, postgres: Postgres) -> str:
    url = postgres.create_database()
    if request.param == "direct":
        return url
    pgbouncer: PgBouncer = request.getfixturevalue("pgbouncer")
    return pgbouncer.url(url)


async def products(url: str, settings: MeshSettings) -> list[str]:
    async with await connect(url, settings.model_copy(update={"database_pooler": True})) as database:
        return [row["id"] for row in await database.fetch(PRODUCTS)]


async def test_migrations_run_once_and_new_ones_when_they_come(folder: Path, url: str, settings: MeshSettings) -> None:
    await migrate("shelf", url)
    assert await products(url, settings) == []
    (folder / "0002_mug.py").write_text(SECOND)
    await migrate("shelf", url)
    await migrate("shelf", url)
    assert await products(url, settings) == ["mug"]


async def test_several_may_migrate_at_once(folder: Path, url: str, settings: MeshSettings) -> None:
    (folder / "0002_mug.py").write_text(SECOND)
    await asyncio.gather(*(migrate("shelf", url) for _ in range(4)))
    assert await products(url, settings) == ["mug"]


async def test_a_migration_that_fails_leaves_everything_as_it_was(folder: Path, url: str, settings: MeshSettings) -> None:
    (folder / "0002_mug.py").write_text(SECOND)
    await migrate("shelf", url)
    broken = folder / "0003_broken.py"
    broken.write_text(BROKEN)
    with pytest.raises(Exception, match="duplicate key"):
        await migrate("shelf", url)
    assert await products(url, settings) == ["mug"]
    broken.unlink()
    await migrate("shelf", url)


def test_the_command_says_which_setting_is_missing() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTH_")}
    command = [sys.executable, "-m", "mesh.migrate", "auth"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr.strip() == "AUTH_DATABASE_URL: Field required"


async def test_a_migration_waits_for_a_lock_without_blocking_others_for_long(
    folder: Path, postgres: Postgres, settings: MeshSettings
) -> None:
    url = postgres.create_database()
    await migrate("shelf", url)
    (folder / "0002_mug.py").write_text(
        SECOND.replace("INSERT INTO shelf.products VALUES ('mug')", "ALTER TABLE shelf.products ADD size int")
    )
    async with await connect(url, settings) as database:
        async with database.begin() as transaction:
            await transaction.fetch(PRODUCTS)
            migrating = asyncio.create_task(migrate("shelf", url))
            await asyncio.sleep(1)
            # The table is locked for a reader who came before, so that this one has to wait until the migration gives way.
            await database.fetch(PRODUCTS)
        await migrating
    assert await products(url, settings) == []
