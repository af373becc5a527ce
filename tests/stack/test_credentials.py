"""The local stack's secrets."""

import stat
from pathlib import Path

from stack.credentials import load_or_create


def test_a_secret_stays_the_same_when_another_is_added(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    first = load_or_create(file, ["FIRST"])["FIRST"]
    both = load_or_create(file, ["FIRST", "SECOND"])
    assert both["FIRST"] == first != both["SECOND"]
    assert load_or_create(file, ["FIRST", "SECOND"]) == both


def test_secrets_are_long_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    assert len(load_or_create(file, ["SECRET"])["SECRET"]) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_other_values_may_be_changed_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "demo.env"
    secret = load_or_create(file, ["PASSWORD"], EMAIL="ann@example.com")["PASSWORD"]
    file.write_text(file.read_text().replace("ann@", "bob@"))
    assert load_or_create(file, ["PASSWORD"], EMAIL="ann@example.com") == {"PASSWORD": secret, "EMAIL": "bob@example.com"}
