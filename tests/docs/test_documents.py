"""What the documentation names exists."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from stack import configuration
from stack.variables import variables
from tests.contract import contracts
from tests.contract.test_contracts import paths

# The changelog and the decisions speak of the past as well.
DOCUMENTS = [contracts.ROOT / "README.md", *sorted((contracts.ROOT / "docs").glob("*.md"))]
CHANGELOG = contracts.ROOT / "CHANGELOG.md"
# The beginnings of the names of our own settings.
OURS = re.compile(r"(GATEWAY|MESH|SHOP|AUTH|CATALOG|RECOMMENDER|FORECASTER|JOBS|STACK|ETL|LAKE|DEMO)_[A-Z_]+")
# Paths in tables that compare behaviour, of no RPC on purpose.
EXAMPLES = {"/v1/products", "/products/"}
# The gateway serves these by itself.
OWN_PATHS = {"/openapi.json", "/docs", "/healthz", "/status"}


in_each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)


@in_each_document
def test_settings_reasons_and_other_constants_exist(document: Path) -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]*)(?:=[^`]*)?`", document.read_text()))
    assert sorted(named - settings() - enum_values() - constants()) == []


@in_each_document
def test_targets_of_make_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (contracts.ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE)) - targets == set()


@in_each_document
def test_modules_exist(document: Path) -> None:
    modules = set(re.findall(r"python -m ((?:stack|mesh|services|gateway|ml|spark|benchmarks|tests)(?:\.\w+)*)", document.read_text()))
    assert [module for module in modules if find_spec(module) is None] == []


@in_each_document
def test_paths_of_rest_exist(document: Path) -> None:
    named = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)", document.read_text())
    bound = {(verb, path) for method in contracts.methods() for verb, path in paths(method.proto)}
    known = {(verb.upper(), re.sub(r"\{[^}]*\}", "{}", path)) for verb, path in bound}
    missing = [(verb, path) for verb, path in named if path not in OWN_PATHS | EXAMPLES and not is_bound(verb, path, known)]
    assert missing == []


def test_settings_that_the_changelog_says_are_new_exist() -> None:
    """Those on the right of `is now` or of a table's last column; on the left stand the former ones."""
    named = [line.rpartition("is now" if "is now" in line else "|" if line.startswith("|") else "\0")[2] for line in changelog_lines()]
    ours = {match.group() for text in named for match in OURS.finditer(text) if not match.group().endswith("_")}
    assert ours
    assert sorted(ours - settings() - enum_values() - constants()) == []


def changelog_lines() -> Iterator[str]:
    """The lines of the newest version."""
    newest = CHANGELOG.read_text().partition("\n## ")[2].partition("\n## ")[0]
    return (line.rstrip().removesuffix("|") for line in newest.splitlines())


@cache
def settings() -> set[str]:
    return {variable.name for section in configuration.SECTIONS for variable in variables(section.settings)}


@cache
def enum_values() -> set[str]:
    """The values of all enums, also without the enum's own name."""
    names = {value.name.rpartition(".")[2] for value in contracts.enum_values()}
    return names | {"_".join(parts[start:]) for parts in (name.split("_") for name in names) for start in range(1, len(parts))}


@cache
def constants() -> set[str]:
    """Every name in capitals in the sources: other programs' variables that the code sets, and codes of gRPC."""
    patterns = ["*.py", "*.yaml", "*.yml", "*.sh", "Makefile", "compose/*"]
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=contracts.ROOT, capture_output=True, text=True, check=True).stdout
    texts = (contracts.ROOT / name for name in listed.splitlines() if not name.startswith("tests/docs/"))
    return {name for path in texts if path.is_file() for name in re.findall(r"[A-Z][A-Z0-9]*_[A-Z0-9_]*", path.read_text(errors="replace"))}


def is_bound(verb: str, path: str, known: set[tuple[str, str]]) -> bool:
    """Whether an RPC has the path, in which a document may write a variable for a part of it, or a value for a variable."""
    plain = re.sub(r"\{[^}]*\}", "{}", path)
    return any(verb == each and (matches(template, plain) or matches(plain, template)) for each, template in known)


def matches(template: str, path: str) -> bool:
    return re.fullmatch(re.escape(template).replace(r"\{\}", "[^/:]+"), path) is not None
