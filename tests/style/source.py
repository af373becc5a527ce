"""The project's own Python as syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("clients/python", "gateway", "lake", "mesh", "ml", "services", "spark", "stack")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A module of ours."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its path from the root of the project."""
        return str(self.path.relative_to(ROOT))

    @property
    def package(self) -> str:
        return self.path.relative_to(ROOT).parts[0]

    def functions(self) -> Iterator[Function]:
        """Its functions and methods, nested ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


@cache
def modules(*packages: str) -> tuple[Module, ...]:
    """The modules of these packages; of all, without any."""
    paths = sorted(path for package in packages or PACKAGES for path in (ROOT / package).rglob("*.py"))
    return tuple(Module(path, text, ast.parse(text)) for path in paths if (text := path.read_text()))
