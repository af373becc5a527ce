"""The Python packages that the ETL takes, for clusters whose nodes do not have them."""

import tarfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What it imports beside Spark's own.
IMPORTED = ("minio", "pydantic-settings", "structlog")


def pack(file: Path) -> None:
    """Writes them to an archive, as they are installed here."""
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        for package in with_what_they_require(IMPORTED):
            for path in package.files or ():
                # Commands lie outside, and what was compiled may be gone.
                if path.parts[0] != ".." and path.suffix != ".pyc":
                    archive.add(path.locate(), str(path))


def with_what_they_require(names: Iterable[str]) -> Iterable[Distribution]:
    """These installed packages, and all that they stand on."""
    found: dict[str, Distribution] = {}
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            wanted = map(Requirement, found[name].requires or ())
            waiting += [canonicalize_name(each.name) for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found.values()
