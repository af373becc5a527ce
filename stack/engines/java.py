"""The Java that Hadoop and Spark run on: the machine's own if it will do, else the package manager's."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from stack import install

# A link to the runtime, so that what is started by it is started by the same command wherever that lies.
HOME = install.TOOLS / "java"
VERSIONS = range(17, 22)
# Debian and Ubuntu offer the one or the other.
PACKAGE = "openjdk-17-jre-headless | openjdk-21-jre-headless"


def install_runtime() -> None:
    """Lets `HOME` be a Java runtime; at once when it is one already."""
    if suitable(HOME):
        return
    home = next(filter(suitable, homes()), None)
    if home is None:
        install.install_packages(PACKAGE)
        home = next(filter(suitable, homes()))
    HOME.parent.mkdir(parents=True, exist_ok=True)
    HOME.unlink(missing_ok=True)
    HOME.symlink_to(home)


def homes() -> Iterator[Path]:
    """Where a Java may be, the most wanted first."""
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if found := shutil.which("java"):
        yield Path(found).resolve().parents[1]
    yield from sorted(Path("/usr/lib/jvm").glob("*"))


def suitable(home: Path) -> bool:
    """Whether a whole Java runtime of a version that Spark runs on is there."""
    try:
        release = (home / "release").read_text()
    except OSError:
        return False
    version = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
    # Runtimes that were cut down for other ends lack a module that Spark wants.
    return version is not None and int(version[1]) in VERSIONS and "jdk.incubator.vector" in release
