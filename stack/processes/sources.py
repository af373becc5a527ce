"""What our processes run, as a digest: it is part of what they are told, so that they are started again when it has changed."""

import hashlib
import sys
from functools import cache

from stack.install import REQUIREMENTS, ROOT

# Our code, but for what stands beside it: the stack's own, tests, tools.
FOLDERS = ("gateway", "gen", "lake", "mesh", "ml", "services", "spark")


@cache
def code() -> str:
    """Of all our code as it lies here, and of the Python and the packages under it."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    lines = [f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in sorted(files)]
    return hashlib.sha256("".join([*lines, packages("dev")]).encode()).hexdigest()


def packages(role: str) -> str:
    """Of the Python and the locked packages of a role."""
    return hashlib.sha256(sys.version.encode() + (REQUIREMENTS / f"{role}.txt").read_bytes()).hexdigest()
