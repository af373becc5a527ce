"""Fixtures of the tests of auth: the service as a process, and users."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hashiramart.auth.v1 import auth_pb2_grpc
from tests.engines.postgres import Postgres
from tests.services.auth.people import Person
from tests.services.auth.processes import Auth, sql
from tests.services.database import migrate_services


@pytest.fixture(scope="module")
def database_urls(postgres_url: str) -> dict[str, str]:
    """The URL of each role in the module's database, which has auth's tables."""
    return migrate_services(postgres_url, "auth")


@pytest.fixture(scope="module")
def database_url(database_urls: dict[str, str]) -> str:
    """How auth connects to the module's database."""
    return database_urls["auth"]


@pytest.fixture
def own_database(postgres: Postgres) -> str:
    """The URL of a database that no other test uses."""
    return migrate_services(postgres.create_database(), "auth")["auth"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("auth")


@pytest.fixture(scope="module")
def grpc_server(folder: Path, database_url: str) -> Iterator[Auth]:
    """The server of pytest-grpc, here a process, since the tests restart it and read its log."""
    with Auth(folder, database_url) as auth:
        yield auth


@pytest.fixture(scope="module")
def grpc_addr(grpc_server: Auth) -> str:
    return grpc_server.address


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[auth_pb2_grpc.AuthServiceStub]:
    return auth_pb2_grpc.AuthServiceStub


@pytest.fixture
def ann(grpc_stub: auth_pb2_grpc.AuthServiceStub) -> Person:
    """A person without an account."""
    return Person(grpc_stub)


@pytest.fixture
def bob(grpc_stub: auth_pb2_grpc.AuthServiceStub) -> Person:
    """Another person without an account."""
    return Person(grpc_stub, "bob")


@pytest.fixture
def admin(grpc_stub: auth_pb2_grpc.AuthServiceStub, database_url: str) -> Person:
    """A new admin."""
    root = Person(grpc_stub, "root")
    root.signs_up()
    sql(database_url, "UPDATE auth.users SET role = 'admin' WHERE email = $1", root.email)
    return root
