"""The tables of the forecaster."""

from services.forecaster.tables import metadata
from tests.loops import Loop
from tests.services.schemas import schema_differences


def test_migrations_create_the_tables_that_the_statements_use(loop: Loop, database_url: str) -> None:
    assert loop.run(schema_differences(database_url, metadata)) == []
