"""An archive of the Python packages that the ETL needs, for clusters whose nodes do not have them."""

import tarfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The packages that the ETL imports, besides those of Spark.
IMPORTED = ("minio", "pydantic-settings", "structlog")


def pack(file: Path) -> None:
    """Writes the installed packages and their dependencies to a .tar.gz file."""
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        for package in _with_dependencies(IMPORTED):
            for path in package.files or ():
                # Scripts are outside of the packages, and compiled files may be missing.
                if path.parts[0] != ".." and path.suffix != ".pyc":
                    archive.add(path.locate(), str(path))


def _with_dependencies(names: Iterable[str]) -> Iterable[Distribution]:
    """These installed packages and, recursively, their dependencies."""
    found: dict[str, Distribution] = {}
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            wanted = map(Requirement, found[name].requires or ())
            waiting += [canonicalize_name(each.name) for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found.values()
