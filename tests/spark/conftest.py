"""One small Spark session and one store for all tests of the ETL."""

import logging
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark.session import create_session
from stack.settings import ROOT
from tests.engines.stores import SeaweedFS
from tests.spark.shop import Shop, credentials

# Spark writes, compiles and loads a class for each part of a plan, or interprets it, which is quicker for a few lines.
COMPILED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
S3A = ROOT / ".local" / "cache" / "s3a"


@pytest.fixture(scope="session")
def submit_arguments() -> str:
    """The arguments of spark-submit on this machine."""
    if not S3A.exists():
        pom = ROOT / "compose" / "hadoop" / "s3a-pom.xml"
        subprocess.run(["mvn", "-q", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={S3A}"], check=True)
    # One JVM compiles the plans of all tests, which are more than its default for the first compiler alone holds.
    options = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
    plans = " ".join(f"--conf {name}={value}" for name, value in INTERPRETED.items())
    return (
        f"--master local[2] --driver-memory 480m --driver-class-path {S3A}/* --driver-java-options '{options}' "
        f"{plans} --conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false --conf spark.log.level=ERROR"
    )


@pytest.fixture(scope="session")
def spark(seaweedfs_server: SeaweedFS, submit_arguments: str) -> Iterator[SparkSession]:
    """A session as the job's own, on two cores."""
    environment = {
        **credentials(seaweedfs_server),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": f"{submit_arguments} --conf spark.sql.shuffle.partitions=2 pyspark-shell",
    }
    # The JVM keeps this environment. In that of this process, the keys would take precedence over the files of all other tests.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        spark = create_session("tests", seaweedfs_server.store.endpoint, seaweedfs_server.store.region)
    # Its connections log their end when they are collected, which may be after the log of the last test was closed.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    yield spark
    spark.stop()


@pytest.fixture
def compiled_plans(spark: SparkSession) -> Iterator[None]:
    """Compiles plans for the length of a test, as a shop's job does."""
    _configure(spark, COMPILED)
    yield
    _configure(spark, INTERPRETED)


@pytest.fixture
def shop(seaweedfs: SeaweedFS, tmp_path: Path, request: pytest.FixtureRequest) -> Shop:
    """A shop with an empty raw zone and an empty lake. Spark starts with the first test that runs the ETL in this process."""
    return Shop(partial(request.getfixturevalue, "spark"), seaweedfs, tmp_path / "raw")


def _configure(spark: SparkSession, properties: Mapping[str, str]) -> None:
    for name, value in properties.items():
        spark.conf.set(name, value)
