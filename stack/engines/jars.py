"""The jars of HDFS, YARN and Spark, which Maven downloads by one pom.xml for each set."""

import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

from stack import install
from stack.engines import java

POMS = install.ROOT / "compose" / "hadoop"
DAEMONS = install.TOOLS / "hadoop"
# The web pages of HDFS, as files.
PAGES = DAEMONS / "pages"
S3A = install.TOOLS / "s3a"


def install_daemons() -> None:
    """Downloads the jars of HDFS and YARN to `DAEMONS`, unless they are there."""
    if _download("daemons-pom.xml", DAEMONS):
        with_pages = next(DAEMONS.glob("hadoop-hdfs-*-tests.jar"))
        with zipfile.ZipFile(with_pages) as archive:
            archive.extractall(PAGES, [name for name in archive.namelist() if name.startswith("webapps/")])
        with_pages.unlink()
        _mark_complete("daemons-pom.xml", DAEMONS)


def install_s3a() -> None:
    """Downloads the jars with which Spark reaches an S3 store to `S3A`, unless they are there."""
    if _download("s3a-pom.xml", S3A):
        _mark_complete("s3a-pom.xml", S3A)


def _download(pom: str, folder: Path) -> bool:
    """Fills a folder with the jars of this pom.xml. Returns False if it was complete already."""
    java.install_runtime()
    stamp = folder / pom
    if stamp.exists() and stamp.read_bytes() == (POMS / pom).read_bytes():
        return False
    if shutil.which("mvn") is None:
        install.install_packages("maven")
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(POMS / pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    install.run(f"download the jars for {folder.name}", command, JAVA_HOME=str(java.HOME))
    verify(folder, (POMS / pom).with_suffix(".sha256"))
    return True


def verify(folder: Path, digests: Path) -> None:
    """Exits with a message unless a folder has just the jars of a file of `sha256sum`, each as it was when that was written."""
    expected = {name: digest for digest, name in (line.split() for line in digests.read_text().splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    if strange := sorted(found.keys() ^ expected.keys()):
        sys.exit(f"{strange[0]} is {'missing' if strange[0] in expected else 'not among the jars'} of {digests}.")
    if changed := sorted(name for name in found if found[name] != expected[name]):
        sys.exit(f"{folder / changed[0]} is another file than the one that {digests} names: its SHA-256 differs.")


def _mark_complete(pom: str, folder: Path) -> None:
    """Copies the pom.xml into the folder, which is then taken for complete. After an interruption the folder has none."""
    shutil.copyfile(POMS / pom, folder / pom)
