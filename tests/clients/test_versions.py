"""The clients, the console and the OpenAPI document have the version of the project."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
JAVA = ROOT / "clients" / "java"


@pytest.mark.parametrize("path", ["clients/typescript/node", "clients/typescript/web", "console"])
def test_a_package_of_npm(path: str) -> None:
    package, lock = (json.loads((ROOT / path / name).read_text()) for name in ("package.json", "package-lock.json"))
    assert {package["version"], lock["version"], lock["packages"][""]["version"]} == {VERSION}


def test_the_client_for_python() -> None:
    assert tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_the_crates() -> None:
    folder = ROOT / "clients" / "rust"
    crates = [tomllib.loads(path.read_text())["package"] for path in (folder / "Cargo.toml", folder / "generate" / "Cargo.toml")]
    locked = tomllib.loads((folder / "Cargo.lock").read_text())["package"]
    own = [package for package in locked if package["name"] in {crate["name"] for crate in crates} and "source" not in package]
    assert {package["version"] for package in (*crates, *own)} == {VERSION}


def test_the_client_for_java_and_its_documentation() -> None:
    assert f"<artifactId>hashiramart-client</artifactId>\n  <version>{VERSION}</version>" in (JAVA / "pom.xml").read_text()
    assert set(re.findall(r"hashiramart-client[-:]([0-9.]+[0-9])", (JAVA / "README.md").read_text())) == {VERSION}


def test_the_openapi_document() -> None:
    assert json.loads((ROOT / "clients" / "openapi.json").read_text())["info"]["version"] == VERSION


def test_the_changelog_has_it() -> None:
    assert f"\n## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()
