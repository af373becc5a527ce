"""Fixtures of the tests of the client for Python and its command line."""

from pathlib import Path

import pytest

from tests.clients.python.command import CommandLine


@pytest.fixture
def config_folder(tmp_path: Path) -> Path:
    """The user's configuration folder."""
    return tmp_path / "config"


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config_folder: Path) -> CommandLine:
    """A user who is not signed in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config_folder))
    return CommandLine(capsys, monkeypatch)
