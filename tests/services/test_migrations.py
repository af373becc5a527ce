"""The version before runs on migrated tables: migrations expand first, and contract one release later."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from stack.database_roles import SERVICES
from tests.services.database import migrate_services
from tests.services.released.__main__ import FOLDER

Columns = dict[str, dict[str, Any]]

COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod) AS type, NOT attnotnull OR atthasdef OR attidentity <> '' AS optional
    FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
    WHERE relnamespace = $1::text::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
"""


def incompatibilities(released: dict[str, Columns], migrated: dict[str, Columns]) -> list[str]:
    """What statements of the released version would fail at.

    They read and write the columns that they know, and leave others, and those that are optional, out of an INSERT.
    """
    found = []
    for table, columns in released.items():
        now = migrated.get(table, {})
        for name, column in columns.items():
            if name not in now:
                found.append(f"{table}.{name} is gone")
            elif now[name]["type"] != column["type"]:
                found.append(f"{table}.{name} is of another type")
        left_out = now.keys() - {name for name, column in columns.items() if not column["optional"]}
        found += [f"{table}.{name} has to be given" for name in sorted(left_out) if not now[name]["optional"]]
    return found


@pytest.fixture(scope="module")
def owner(postgres_url: str) -> str:
    """How the owner connects to a database with the tables of all services."""
    return migrate_services(postgres_url, *SERVICES)["migrator"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_released_version_runs_on_the_migrated_tables(owner: str, service: str) -> None:
    async def read() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(owner)
        try:
            return await connection.fetch(COLUMNS, service)
        finally:
            await connection.close()

    migrated: dict[str, Columns] = {}
    for row in asyncio.run(read()):
        migrated.setdefault(row["relname"], {})[row["attname"]] = {"type": row["type"], "optional": row["optional"]}
    assert incompatibilities(json.loads((FOLDER / f"{service}.json").read_text()), migrated) == []


TEXT, OPTIONAL_TEXT = {"type": "text", "optional": False}, {"type": "text", "optional": True}


@pytest.mark.parametrize(
    ("migrated", "found"),
    [
        ({"id": TEXT, "note": OPTIONAL_TEXT}, []),
        ({"id": TEXT, "note": OPTIONAL_TEXT, "colour": OPTIONAL_TEXT}, []),
        ({"id": TEXT, "note": OPTIONAL_TEXT, "colour": TEXT}, ["mugs.colour has to be given"]),
        ({"id": TEXT, "note": TEXT}, ["mugs.note has to be given"]),
        ({"id": TEXT}, ["mugs.note is gone"]),
        ({"id": {"type": "uuid", "optional": False}, "note": OPTIONAL_TEXT}, ["mugs.id is of another type"]),
    ],
)
def test_what_an_older_replica_cannot_live_with_is_found(migrated: Columns, found: list[str]) -> None:
    assert incompatibilities({"mugs": {"id": TEXT, "note": OPTIONAL_TEXT}}, {"mugs": migrated}) == found
