"""The first admin, made by hand."""

import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.people import Person
from tests.services.auth.processes import Auth


def test_the_first_admin_is_made_and_administers(grpc_server: Auth, grpc_stub: AuthServiceStub, ann: Person) -> None:
    made = grpc_server.admin("create-admin", "--email", ann.email, typed=f"{ann.password}\n")
    assert (made.returncode, made.stdout) == (0, "")
    token = ann.signs_in()
    assert token.scope == "admin"
    listed = grpc_stub.ListUsers(auth_pb2.ListUsersRequest(role=auth_pb2.ROLE_ADMIN), metadata=ann.by(token))
    assert [user.email for user in listed.users] == [ann.email]


def test_a_password_can_be_made_up(grpc_server: Auth, ann: Person) -> None:
    made = grpc_server.admin("create-admin", "--email", ann.email, "--generate-password")
    assert made.returncode == 0, made.stderr
    [password] = made.stdout.splitlines()
    assert ann.signs_in(password).scope == "admin"


def test_a_user_is_promoted_when_that_is_said(grpc_server: Auth, ann: Person) -> None:
    ann.signs_up()
    refused = grpc_server.admin("create-admin", "--email", ann.email, typed=f"{ann.password}\n")
    assert refused.returncode == 1
    assert "--promote" in refused.stderr
    assert ann.signs_in().scope == "customer"
    assert grpc_server.admin("create-admin", "--email", ann.email.upper(), "--promote").returncode == 0
    assert ann.signs_in().scope == "admin"


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (["--email", "nobody@example.com", "--promote"], "", "has no account"),
        (["--email", "nobody@example.com"], "short\n", "password"),
        (["--email", "nobody@example.com"], "", "password"),
        (["--email", "nobody"], "long enough\n", "e-mail address"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(grpc_server: Auth, arguments: list[str], typed: str, said: str) -> None:
    refused = grpc_server.admin("create-admin", *arguments, typed=typed)
    assert (refused.returncode, refused.stdout) == (1, "")
    [sentence] = refused.stderr.splitlines()
    assert said in sentence


def test_a_missing_setting_is_named(grpc_server: Auth) -> None:
    broken = Auth.__new__(Auth)
    broken.environment = grpc_server.environment | {"AUTH_SECRET": "short"}
    refused = broken.admin("rotate-keys")
    assert refused.returncode == 1
    [sentence] = refused.stderr.splitlines()
    assert sentence.startswith("AUTH_SECRET")
    assert "short" not in sentence.partition(":")[2]


def test_a_database_that_is_away_is_said_to_be(grpc_server: Auth) -> None:
    lost = Auth.__new__(Auth)
    lost.environment = grpc_server.environment | {"AUTH_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    refused = lost.admin("rotate-keys")
    assert refused.returncode == 1
    assert refused.stderr == "The database cannot be reached.\n"
