"""What every test can ask for: the engines."""

from collections.abc import Iterator

import pytest

from tests.engines import PgBouncer, Postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server for all tests of this process. One that stops it starts it again: `with postgres.stopped(): ...`."""
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def postgres_url(postgres: Postgres) -> str:
    """An empty database for the tests of one module; `postgres.create_database()` makes further ones."""
    return postgres.create_database()


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode, before `postgres`: `pgbouncer.url(postgres_url)` is the way through it."""
    with PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres) as pooler:
        yield pooler
