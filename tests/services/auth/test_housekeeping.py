"""Deletion of expired rows."""

from pathlib import Path

from tests.services.auth.people import Person
from tests.services.auth.processes import Auth, sql
from tests.services.errors import error_of
from tests.services.waiting import eventually


def test_only_expired_rows_are_deleted(folder: Path, own_database: str) -> None:
    auth = Auth(folder, own_database)
    with auth, auth.stub() as stub:
        ann = Person(stub)
        ann.signs_up_and_in()
        sql(own_database, "UPDATE auth.sign_ins SET expire_time = now() - interval '1 second'")
        sql(own_database, "UPDATE auth.attempts SET expire_time = now() - interval '1 second'")
        token = ann.signs_in()
        error_of(lambda: ann.signs_in("wrong password"))
        assert len(sql(own_database, "SELECT id FROM auth.sign_ins")) == 2
        before = sql(own_database, "SELECT key FROM auth.attempts")
    with auth:
        eventually(lambda: len(sql(own_database, "SELECT id FROM auth.sign_ins")) == 1)
        eventually(lambda: len(sql(own_database, "SELECT key FROM auth.attempts")) == len(before) - 1)
        with auth.stub() as stub:
            assert Person(stub).refreshes(token).access_token


def test_a_key_is_replaced_once_no_token_needs_it(folder: Path, own_database: str) -> None:
    auth = Auth(folder, own_database)
    with auth:
        assert auth.admin("rotate-keys").returncode == 0
    [signing] = sql(own_database, "SELECT id FROM auth.signing_keys WHERE retire_time IS NULL")
    sql(own_database, "UPDATE auth.signing_keys SET retire_time = retire_time - interval '17 minutes'")
    with auth:
        eventually(lambda: sql(own_database, "SELECT id FROM auth.signing_keys WHERE retire_time IS NOT NULL") == [])
        keys = sql(own_database, "SELECT id, sign_time FROM auth.signing_keys ORDER BY sign_time NULLS LAST")
    assert [key["id"] == signing["id"] for key in keys] == [True, False]
    assert keys[1]["sign_time"] is None
