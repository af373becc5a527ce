"""`make env`: the settings and secrets of the containers."""

import stat
from pathlib import Path

import pytest

from stack.containers import environment


@pytest.fixture(autouse=True)
def no_external_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES_URL", "POSTGRES_DIRECT_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "HADOOP_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)


def secrets_of(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (folder / "secrets").iterdir()}


def test_secrets_are_generated_once_and_only_their_owner_reaches_them(tmp_path: Path) -> None:
    environment.main(tmp_path)
    created = secrets_of(tmp_path)
    environment.main(tmp_path)
    assert secrets_of(tmp_path) == created
    # Without a pooler, both URLs of a role are the same.
    different = [value for name, value in created.items() if not name.endswith("_DIRECT_URL")]
    assert len(set(different)) >= len(different) - 1
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_external_engines_replace_own_ones_and_their_addresses_and_keys_are_passed_on(tmp_path: Path) -> None:
    environment.main(tmp_path)
    external = "POSTGRES_URL=postgresql://u:p@db.example.com/shop\nS3_ENDPOINT=https://s3.example.com\nS3_ACCESS_KEY=a\nS3_SECRET_KEY=b\n"
    with (tmp_path / ".env").open("a") as file:
        file.write(external)
    environment.main(tmp_path)
    assert "COMPOSE_PROFILES=hadoop\n" in (tmp_path / ".env").read_text()
    created = secrets_of(tmp_path)
    assert created["ADMIN_DATABASE_URL"] == "postgresql://u:p@db.example.com/shop"
    assert created["AUTH_DATABASE_URL"] == f"postgresql://shop_auth:{created['AUTH_DATABASE_PASSWORD']}@db.example.com/shop"
    assert "aws_access_key_id = a\n" in created["spark.credentials"]


def test_roles_connect_through_a_pooler_as_its_administrator_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://postgres.project:p@pooler.example.com:6543/postgres?sslmode=require")
    monkeypatch.setenv("POSTGRES_DIRECT_URL", "postgresql://postgres:p@db.example.com:5432/postgres?sslmode=require")
    environment.main(tmp_path)
    created = secrets_of(tmp_path)
    password = created["JOBS_DATABASE_PASSWORD"]
    expected = f"postgresql://postgres_jobs.project:{password}@pooler.example.com:6543/postgres?sslmode=require"
    assert created["JOBS_DATABASE_URL"] == expected
    assert created["JOBS_DATABASE_DIRECT_URL"] == f"postgresql://postgres_jobs:{password}@db.example.com:5432/postgres?sslmode=require"


def test_an_external_store_without_a_key_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "https://s3.example.com")
    with pytest.raises(SystemExit, match="S3_ACCESS_KEY"):
        environment.main(tmp_path)
