"""Commands of `hashiramart`, run in the tests' own process."""

import io
import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from hashiramart_client.cli.main import main


class Outcome(NamedTuple):
    """What a command did."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.exit_code == 0, self.err
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class CommandLine:
    """Runs commands with the environment of the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, descriptors: bytes | None = None) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self._descriptors = descriptors

    def set_environment(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)

    def run(self, *arguments: str, text: str = "") -> Outcome:
        """Runs a command, with a text on its standard input."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        self._capsys.readouterr()
        exit_code = main(arguments, self._descriptors)
        return Outcome(exit_code, *self._capsys.readouterr())
