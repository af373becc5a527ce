"""What is built, and what is skipped with a reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from clients.build import CLIENTS, Client, Tool, build_all, same_files

GO = CLIENTS[0]


def write_program(folder: Path, output: str) -> str:
    """Writes a program `compiler` that prints its version, and returns its folder."""
    program = folder / "compiler"
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("compiler 1.26.8 linux", ""),
        ("v2.0", ""),
        ("compiler 1.9", "compiler is 1.9, and 1.26 or newer is needed"),
        ("no version", "compiler is 0.0, and 1.26 or newer is needed"),
    ],
)
def test_a_program_has_to_be_new_enough(tmp_path: Path, output: str, problem: str) -> None:
    assert Tool("compiler", (1, 26)).problem(write_program(tmp_path, output)) == problem


def test_a_language_without_its_toolchain_is_skipped_and_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = replace(GO, language="Cobol", folder=tmp_path, tools=(Tool("cobol-compiler", (1, 0)),))
    build_all([missing])
    assert capsys.readouterr().out == "Cobol: skipped, there is no cobol-compiler on PATH\n"


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client whose generator writes one file."""
    write = ("sh", "-c", "mkdir -p {generated} && echo content > {generated}/file")
    return replace(GO, folder=tmp_path, tools=(), generated=tmp_path / "src" / "gen", generator=write, plugins=(), build=())


def test_generated_code_is_replaced_if_it_differs(client: Client) -> None:
    assert client.refresh()
    assert not client.refresh()
    (client.generated / "stale").touch()
    assert client.refresh()
    assert [path.name for path in client.generated.iterdir()] == ["file"]


def test_a_command_that_fails_ends_the_build_and_is_named(client: Client) -> None:
    with pytest.raises(SystemExit, match="Go: `false` failed"):
        replace(client, build=(("false",),)).compile()


def test_folders_are_the_same_if_their_files_are(tmp_path: Path) -> None:
    left, right = tmp_path / "left", tmp_path / "right"
    for folder in (left, right):
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").write_text("content")
    assert same_files(left, right)
    (right / "inner" / "file").write_text("CONTENT")
    assert not same_files(left, right)
