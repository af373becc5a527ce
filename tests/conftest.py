"""What every test can ask for."""

from collections.abc import Iterator

import pytest

from tests.engines import Postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server for all tests of this process. One that stops it starts it again: `with postgres.stopped(): ...`."""
    server = Postgres(tmp_path_factory.mktemp("engines") / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def postgres_url(postgres: Postgres) -> str:
    """An empty database for the tests of one module; `postgres.create_database()` makes further ones."""
    return postgres.create_database()
