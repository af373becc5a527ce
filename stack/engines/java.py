"""The Java runtime for Hadoop and Spark: an installed one if it is suitable, else one from the package manager."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from stack import install

# A link to the runtime, so that commands stay the same wherever Java is installed.
HOME = install.TOOLS / "java"
VERSIONS = range(17, 22)
# Debian and Ubuntu each offer one of them.
PACKAGE = "openjdk-17-jre-headless | openjdk-21-jre-headless"


def install_runtime() -> None:
    """Makes `HOME` a link to a Java runtime, unless it is one."""
    if _is_suitable(HOME):
        return
    home = next(filter(_is_suitable, homes()), None)
    if home is None:
        install.install_packages(PACKAGE)
        home = next(filter(_is_suitable, homes()))
    HOME.parent.mkdir(parents=True, exist_ok=True)
    HOME.unlink(missing_ok=True)
    HOME.symlink_to(home)


def homes() -> Iterator[Path]:
    """Folders that may hold a Java runtime, in order of preference."""
    if configured := os.environ.get("JAVA_HOME"):
        yield Path(configured)
    if found := shutil.which("java"):
        yield Path(found).resolve().parents[1]
    yield from sorted(Path("/usr/lib/jvm").glob("*"))


def _is_suitable(home: Path) -> bool:
    """Whether a folder holds a complete Java runtime of a version that Spark supports."""
    try:
        release = (home / "release").read_text()
    except OSError:
        return False
    version = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
    # Spark needs this module, which reduced runtimes lack.
    return version is not None and int(version[1]) in VERSIONS and "jdk.incubator.vector" in release
