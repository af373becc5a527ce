"""One small Spark and one real store for all tests of the ETL."""

import itertools
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark.session import create_session
from tests.spark.shop import Shop
from tests.spark.store import seaweedfs

ROOT = Path(__file__).resolve().parents[2]
S3A = ROOT / ".local" / "cache" / "s3a"


# Told only to those who are to know them: a key in the environment of this process wins over the files of all other tests.
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": secrets.token_hex()}


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 store with a bucket `lake`, for who has the keys."""
    with seaweedfs(tmp_path_factory.mktemp("store") / "seaweedfs", KEYS) as url:
        yield url


@pytest.fixture(scope="session")
def submit_arguments() -> str:
    """What spark-submit is told of the machine."""
    if not S3A.exists():
        pom = ROOT / "compose" / "hadoop" / "s3a-pom.xml"
        subprocess.run(["mvn", "-q", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={S3A}"], check=True)
    options = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    return (
        f"--master local[2] --driver-memory 480m --driver-class-path {S3A}/* --driver-java-options '{options}' "
        "--conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false --conf spark.log.level=ERROR"
    )


@pytest.fixture(scope="session")
def spark(store_url: str, submit_arguments: str) -> Iterator[SparkSession]:
    """The session of the job itself, on this machine's two cores."""
    told = {**KEYS, "SPARK_LOCAL_IP": "127.0.0.1"}
    told["PYSPARK_SUBMIT_ARGS"] = f"{submit_arguments} --conf spark.sql.shuffle.partitions=2 pyspark-shell"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        spark = create_session("tests", store_url, "us-east-1")
    # A test's tables are small: two pieces of each do.
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    yield spark
    spark.stop()


NUMBERS = itertools.count(1)


@pytest.fixture
def shop(spark: SparkSession, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with an empty raw zone and an empty lake."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return Shop(spark, store_url, f"lake-{next(NUMBERS)}-{os.getpid()}", tmp_path / "raw")
