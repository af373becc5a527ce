"""Digests of code and packages, which are part of the processes' environment so that `up` restarts them after a change."""

import hashlib
import sys
from functools import cache

from stack.install import REQUIREMENTS, ROOT

# The folders of the code that the processes run: not the stack itself, tests or tools.
FOLDERS = ("gateway", "gen", "lake", "mesh", "ml", "services", "spark")


@cache
def code_digest() -> str:
    """The digest of the code in this checkout, Python's version and the locked packages."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    lines = [f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in sorted(files)]
    return hashlib.sha256("".join([*lines, packages_digest("dev")]).encode()).hexdigest()


def packages_digest(role: str) -> str:
    """The digest of Python's version and the locked packages of a role: requirements/ROLE.txt."""
    return hashlib.sha256(sys.version.encode() + (REQUIREMENTS / f"{role}.txt").read_bytes()).hexdigest()
