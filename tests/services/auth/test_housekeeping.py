"""What time has made worthless goes away."""

from pathlib import Path

from tests.services.auth.people import Person, refusal
from tests.services.auth.processes import Auth, eventually, sql


def test_what_has_expired_is_swept_and_what_has_not_stays(folder: Path, own_database: str) -> None:
    auth = Auth(folder, own_database)
    with auth, auth.stub() as stub:
        ann = Person(stub)
        ann.signs_up_and_in()
        sql(own_database, "UPDATE auth.sign_ins SET expire_time = now() - interval '1 second'")
        sql(own_database, "UPDATE auth.attempts SET expire_time = now() - interval '1 second'")
        token = ann.signs_in()
        refusal(lambda: ann.signs_in("wrong password"))
        assert len(sql(own_database, "SELECT id FROM auth.sign_ins")) == 2
        before = sql(own_database, "SELECT key FROM auth.attempts")
    with auth:
        eventually(lambda: len(sql(own_database, "SELECT id FROM auth.sign_ins")) == 1)
        eventually(lambda: len(sql(own_database, "SELECT key FROM auth.attempts")) == len(before) - 1)
        with auth.stub() as stub:
            assert Person(stub).refreshes(token).access_token


def test_a_key_that_no_token_needs_is_replaced(folder: Path, own_database: str) -> None:
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
