"""Records the tables of this version, once it is released: `python -m tests.services.released`.

The next version's migrations have to leave them usable (`tests/services/test_migrations.py`).
"""

import json
from importlib import import_module
from pathlib import Path

from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

from stack.database_roles import SERVICES

FOLDER = Path(__file__).parent


def main() -> None:
    for service in SERVICES:
        tables = import_module(f"services.{service}.tables").metadata.sorted_tables
        recorded = {table.name: {column.name: describe(column) for column in table.columns} for table in tables}
        (FOLDER / f"{service}.json").write_text(json.dumps(recorded, indent=1) + "\n")


def describe(column: "Column[object]") -> dict[str, object]:
    """The column's type, and whether an INSERT may leave it out."""
    is_optional = bool(column.nullable) or column.server_default is not None or column.identity is not None
    return {"type": column.type.compile(postgresql.dialect()).partition(" COLLATE")[0].lower(), "optional": is_optional}  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
