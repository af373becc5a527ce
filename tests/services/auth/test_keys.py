"""Signing keys and their rotation."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from jwt import PyJWK

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.services.auth.authenticator import App
from tests.services.auth.people import Person
from tests.services.auth.processes import Auth, sql
from tests.services.errors import error_of
from tests.services.waiting import eventually

CURRENT = auth_pb2.GetCurrentUserRequest()


def key_ids(stub: AuthServiceStub) -> list[str]:
    return [key.kid for key in stub.ListSigningKeys(auth_pb2.ListSigningKeysRequest()).keys]


def signed_by(token: auth_pb2.Token) -> str:
    return str(jwt.get_unverified_header(token.access_token)["kid"])


def keys_after(stub: AuthServiceStub, before: list[str]) -> list[str]:
    """The ids of the keys, once they differ from those before."""
    deadline = time.monotonic() + 10
    while (now := key_ids(stub)) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return now


def fifteen_minutes_pass(database_url: str) -> None:
    sql(database_url, "UPDATE auth.signing_keys SET retire_time = retire_time - interval '17 minutes'")


def test_the_listed_keys_verify_access_tokens(grpc_stub: AuthServiceStub, ann: Person) -> None:
    token = ann.signs_up_and_in()
    keys = grpc_stub.ListSigningKeys(auth_pb2.ListSigningKeysRequest()).keys
    assert [(key.kty, key.crv, key.use, key.alg) for key in keys] == 2 * [("EC", "P-256", "sig", "ES256")]
    assert keys[0].kid == signed_by(token) != keys[1].kid
    key = PyJWK({"kty": keys[0].kty, "crv": keys[0].crv, "x": keys[0].x, "y": keys[0].y}, "ES256")
    assert jwt.decode(token.access_token, key, ["ES256"], audience="hashiramart")["role"] == "customer"


def test_private_keys_are_stored_encrypted(grpc_stub: AuthServiceStub, database_url: str) -> None:
    key_ids(grpc_stub)
    rows = sql(database_url, "SELECT sealed_private_key FROM auth.signing_keys")
    # Every unencrypted private key contains the object identifier of its curve.
    assert len(rows) == 2
    assert not any(bytes.fromhex("06082a8648ce3d030107") in row["sealed_private_key"] for row in rows)


def test_a_rotation_signs_nobody_out_and_reaches_all_replicas(folder: Path, own_database: str) -> None:
    one = Auth(folder, own_database)
    with one, Auth(folder, own_database, AUTH_SECRET=one.environment["AUTH_SECRET"]) as other, one.stub() as here, other.stub() as there:
        signing, waiting = before = key_ids(here)
        assert key_ids(there) == before
        ann = Person(here)
        old = ann.signs_up_and_in()
        assert signed_by(old) == signing

        assert one.admin("rotate-keys").returncode == 0
        assert keys_after(here, before) == keys_after(there, before) == [waiting, signing]
        new = ann.signs_in()
        assert signed_by(new) == waiting
        for stub in (here, there):
            for token in (old, new):
                assert stub.GetCurrentUser(CURRENT, metadata=ann.by(token)).email == ann.email
        assert ann.refreshes(old).access_token

        again = one.admin("rotate-keys")
        assert again.returncode == 1
        assert "is needed until" in again.stderr
        assert len(again.stderr.splitlines()) == 1

        fifteen_minutes_pass(own_database)
        assert one.admin("rotate-keys").returncode == 0
        third, second = keys_after(there, [waiting, signing])
        assert second == waiting
        assert third not in before


def test_replicas_that_start_at_once_create_one_pair(folder: Path, own_database: str) -> None:
    first = Auth(folder, own_database)
    replicas = [first] + [Auth(folder, own_database, AUTH_SECRET=first.environment["AUTH_SECRET"]) for _ in range(2)]
    try:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(Auth.start, replicas))
        pairs = []
        for replica in replicas:
            with replica.stub() as stub:
                pairs.append(key_ids(stub))
        assert pairs[0] == pairs[1] == pairs[2]
    finally:
        for replica in replicas:
            replica.stop()
    assert len(sql(own_database, "SELECT id FROM auth.signing_keys")) == 2


def test_another_secret_cannot_unseal_the_keys(folder: Path, grpc_server: Auth, grpc_stub: AuthServiceStub, database_url: str) -> None:
    before = key_ids(grpc_stub)
    stranger = Auth(folder, database_url)
    with pytest.raises(RuntimeError, match="AUTH_SECRET is not the secret"):
        stranger.start()
    rotated = stranger.admin("rotate-keys")
    assert (rotated.returncode, len(rotated.stderr.splitlines())) == (1, 1)
    assert "AUTH_SECRET" in rotated.stderr
    assert len(sql(database_url, "SELECT id FROM auth.signing_keys")) == 2
    assert key_ids(grpc_stub) == before


def test_a_stolen_key_is_dropped_and_its_tokens_are_refused(folder: Path, own_database: str) -> None:
    one = Auth(folder, own_database)
    with one, Auth(folder, own_database, AUTH_SECRET=one.environment["AUTH_SECRET"]) as other, one.stub() as here, other.stub() as there:
        signing, waiting = key_ids(here)
        ann = Person(here)
        old = ann.signs_up_and_in()
        assert there.GetCurrentUser(CURRENT, metadata=ann.by(old)).email == ann.email
        assert one.admin("drop-key", signing).returncode == 0
        for stub in (here, there):
            eventually(lambda stub=stub: is_refused(stub, ann, old))  # type: ignore[misc]
            assert signing not in keys_after(stub, [signing, waiting])
        new = ann.refreshes(old)
        assert signed_by(new) == waiting
        assert there.GetCurrentUser(CURRENT, metadata=ann.by(new)).email == ann.email
        unknown = one.admin("drop-key", "unknown")
        assert (unknown.returncode, unknown.stderr) == (1, "There is no signing key 'unknown'.\n")


def is_refused(stub: AuthServiceStub, who: Person, token: auth_pb2.Token) -> bool:
    call = stub.GetCurrentUser.future(CURRENT, metadata=who.by(token))
    return call.exception() is not None and error_of(call.result).reason in ("TOKEN_REVOKED", "TOKEN_INVALID")


def test_the_secret_is_changed_without_signing_anybody_out(folder: Path, own_database: str) -> None:
    with Auth(folder, own_database) as before, before.stub() as stub:
        keys = key_ids(stub)
        app = App(stub, Person(stub))
        app.token = app.person.signs_up_and_in()
        app.enrolls()
        app.confirms(app.code())
    old = before.environment["AUTH_SECRET"]
    with Auth(folder, own_database, AUTH_PREVIOUS_SECRET=old) as both:
        with both.stub() as stub:
            assert key_ids(stub) == keys
        assert both.admin("reseal").returncode == 0
    with Auth(folder, own_database, AUTH_SECRET=both.environment["AUTH_SECRET"]) as after, after.stub() as stub:
        assert key_ids(stub) == keys
        app.calls(stub)
        assert app.signs_in(app.code(1)).access_token
    with pytest.raises(RuntimeError, match="AUTH_SECRET is not the secret"):
        before.start()
