"""The Makefile passes values to commands unchanged."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.settings import ROOT

NAMES = ["Alice's sales.csv", 'a "b" c.csv', "x; touch broken", "$HOME.csv", "$(touch broken)", "a&b|c.csv", "`touch broken`", "-n.csv"]
PYTHON = """#!/bin/sh
exec {python} -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@"
"""


def run_make(folder: Path, *words: str) -> list[str]:
    """The arguments that a target passes to Python."""
    shutil.copy(ROOT / "Makefile", folder)
    program = folder / "bin" / "python"
    program.parent.mkdir()
    program.write_text(PYTHON.format(python=shutil.which("python3")))
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--silent", "PYTHON=true", "BIN=bin", *words]
    process = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    assert not (folder / "broken").exists()
    arguments: list[str] = json.loads(process.stdout)
    return arguments


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_reaches_the_command_unchanged(tmp_path: Path, name: str) -> None:
    assert run_make(tmp_path, "land", f"FILE={name}") == ["-m", "stack", "land", name]


@pytest.mark.parametrize("name", NAMES)
def test_a_mappings_name_reaches_the_command_unchanged(tmp_path: Path, name: str) -> None:
    assert run_make(tmp_path, "land", "FILE=till.csv", f"MAPPING={name}") == ["-m", "stack", "land", "till.csv", name]


@pytest.mark.parametrize("email", ["o'brien@example.com", "a;touch broken@example.com", "$(touch broken)@example.com"])
def test_an_e_mail_address_reaches_the_command_unchanged(tmp_path: Path, email: str) -> None:
    assert run_make(tmp_path, "admin", f"EMAIL={email}")[-2:] == ["--email", email]
