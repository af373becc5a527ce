"""Administrative commands."""

import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Person
from tests.services.auth.processes import Auth


def test_the_first_admin_is_created_and_can_administer(grpc_server: Auth, grpc_stub: AuthServiceStub, ann: Person) -> None:
    result = grpc_server.admin("create-admin", "--email", ann.email, typed=f"{ann.password}\n")
    assert (result.returncode, result.stdout) == (0, "")
    token = ann.signs_in()
    assert token.scope == "admin"
    listed = grpc_stub.ListUsers(auth_pb2.ListUsersRequest(role=auth_pb2.ROLE_ADMIN), metadata=ann.by(token))
    assert [user.email for user in listed.users] == [ann.email]


def test_a_password_can_be_generated(grpc_server: Auth, ann: Person) -> None:
    result = grpc_server.admin("create-admin", "--email", ann.email, "--generate-password")
    assert result.returncode == 0, result.stderr
    [password] = result.stdout.splitlines()
    assert ann.signs_in(password).scope == "admin"


def test_a_user_is_promoted_only_with_the_option(grpc_server: Auth, ann: Person) -> None:
    ann.signs_up()
    result = grpc_server.admin("create-admin", "--email", ann.email, typed=f"{ann.password}\n")
    assert result.returncode == 1
    assert "--promote" in result.stderr
    assert ann.signs_in().scope == "customer"
    assert grpc_server.admin("create-admin", "--email", ann.email.upper(), "--promote").returncode == 0
    assert ann.signs_in().scope == "admin"


@pytest.mark.parametrize(
    ("arguments", "typed", "expected"),
    [
        (["--email", "nobody@example.com", "--promote"], "", "has no account"),
        (["--email", "nobody@example.com"], "short\n", "password"),
        (["--email", "nobody@example.com"], "", "password"),
        (["--email", "nobody"], "long enough\n", "e-mail address"),
    ],
)
def test_an_error_is_one_sentence(grpc_server: Auth, arguments: list[str], typed: str, expected: str) -> None:
    result = grpc_server.admin("create-admin", *arguments, typed=typed)
    assert (result.returncode, result.stdout) == (1, "")
    [sentence] = result.stderr.splitlines()
    assert expected in sentence


def test_a_missing_setting_is_named(grpc_server: Auth) -> None:
    broken = Auth.__new__(Auth)
    broken.environment = grpc_server.environment | {"AUTH_SECRET": "short"}
    result = broken.admin("rotate-keys")
    assert result.returncode == 1
    [sentence] = result.stderr.splitlines()
    assert sentence.startswith("AUTH_SECRET")
    assert "short" not in sentence.partition(":")[2]


def test_an_unreachable_database_is_reported(grpc_server: Auth) -> None:
    lost = Auth.__new__(Auth)
    lost.environment = grpc_server.environment | {"AUTH_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    result = lost.admin("rotate-keys")
    assert result.returncode == 1
    assert result.stderr == "The database cannot be reached.\n"
