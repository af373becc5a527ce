"""The system user that runs Hadoop for root."""

import os
import subprocess
from pathlib import Path

import pytest

from stack.engines import hadoop_user
from stack.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a stack in a folder that only root may enter."""
    if os.geteuid() != 0:
        pytest.skip("only root starts programs as another user")
    settings = Settings(stack_folder=tmp_path / "stack")
    for folder in (settings.stack_folder / "hadoop", settings.data):
        folder.mkdir(parents=True)
    settings.stack_folder.chmod(0o700)
    return settings


@pytest.fixture
def with_user(settings: Settings) -> Settings:
    """The same, where root may do what it takes."""
    if reason := hadoop_user.obstacle(settings):
        pytest.skip(f"Hadoop runs as root here, as {reason}")
    hadoop_user.create(settings)
    return settings


def as_user(settings: Settings, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*hadoop_user.as_user(settings, environment), "sh", "-c", script]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"S3_SECRET_KEY": "cherry"})


def test_the_user_owns_its_folder_and_cannot_write_elsewhere(with_user: Settings) -> None:
    folder = with_user.data / "namenode"
    hadoop_user.hand_over(with_user, folder)
    (with_user.stack_folder / "secrets.env").touch(mode=0o644)
    assert as_user(with_user, f"touch {folder}/file && id --user --name").stdout.strip() == hadoop_user.NAME
    assert (folder / "file").exists()
    assert as_user(with_user, f"touch {with_user.stack_folder}/hadoop/file").returncode != 0
    # The folder above is not even seen, whatever the modes of its files.
    assert as_user(with_user, f"cat {with_user.stack_folder}/secrets.env").returncode != 0


def test_what_an_earlier_version_wrote_as_root_is_handed_over(with_user: Settings) -> None:
    folder = with_user.data / "datanode"
    (folder / "current").mkdir(parents=True)
    (folder / "current" / "block").write_text("kept")
    outside = with_user.stack_folder / "outside"
    outside.touch(mode=0o600)
    (folder / "link").symlink_to(outside)
    hadoop_user.hand_over(with_user, folder)
    assert as_user(with_user, f"cat {folder}/current/block && rm {folder}/current/block").stdout == "kept"
    assert outside.stat().st_uid == 0


def test_the_user_gets_no_variable_of_roots_shell(with_user: Settings) -> None:
    result = as_user(with_user, "env", JAVA_HOME="/java")
    assert "JAVA_HOME=/java\n" in result.stdout
    assert "cherry" not in result.stdout


def test_where_nothing_can_be_mounted_hadoop_stays_with_root_and_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hadoop_user, "_can_mount", lambda: False)
    hadoop_user.create(settings)
    assert hadoop_user.as_user(settings, {}) == []
    assert "Hadoop runs as root, as other users cannot enter /" in capsys.readouterr().out


def test_for_an_ordinary_user_nothing_changes_hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    settings = Settings(stack_folder=tmp_path)
    hadoop_user.create(settings)
    hadoop_user.hand_over(settings, settings.data / "datanode")
    assert hadoop_user.as_user(settings, {}) == []
    assert (settings.data / "datanode").stat().st_uid == os.getuid()
