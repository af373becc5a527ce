"""What HDFS, YARN and Spark run on: Java, and the jars of their class paths, which Maven fetches by a pom.xml for each set."""

import shutil
import zipfile
from pathlib import Path

from stack import install
from stack.engines import java

POMS = install.ROOT / "compose" / "hadoop"
DAEMONS = install.TOOLS / "hadoop"
# The pages of HDFS, which are files and not classes.
PAGES = DAEMONS / "pages"
S3A = install.TOOLS / "s3a"


def install_daemons() -> None:
    """Lets `DAEMONS` hold the jars of HDFS and YARN; at once when it does already."""
    if copied("daemons-pom.xml", DAEMONS):
        with_pages = next(DAEMONS.glob("hadoop-hdfs-*-tests.jar"))
        with zipfile.ZipFile(with_pages) as archive:
            archive.extractall(PAGES, [name for name in archive.namelist() if name.startswith("webapps/")])
        with_pages.unlink()
        complete("daemons-pom.xml", DAEMONS)


def install_s3a() -> None:
    """Lets `S3A` hold the jars by which Spark reaches an S3 store; at once when it does already."""
    if copied("s3a-pom.xml", S3A):
        complete("s3a-pom.xml", S3A)


def copied(pom: str, folder: Path) -> bool:
    """Fills a folder with the jars of this pom.xml. False if it was complete before."""
    java.install_runtime()
    stamp = folder / pom
    if stamp.exists() and stamp.read_bytes() == (POMS / pom).read_bytes():
        return False
    if shutil.which("mvn") is None:
        install.install_packages("maven")
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(POMS / pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    install.run(f"fetch the jars for {folder.name}", command, JAVA_HOME=str(java.HOME))
    return True


def complete(pom: str, folder: Path) -> None:
    """Marks a folder as complete, so that one left by an interruption never looks so."""
    shutil.copyfile(POMS / pom, folder / pom)
