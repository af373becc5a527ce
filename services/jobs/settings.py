"""What the jobs service and its workers need from their environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, env_prefix="JOBS_", frozen=True):
    """Those of the service, read from the environment as `JOBS_...`."""

    listen: str = "127.0.0.1:50055"
    database_url: PostgresDsn
    # Leads to PostgreSQL itself if `database_url` leads to a pooler: there the service is told of changes, else it has to ask.
    database_direct_url: PostgresDsn | None = None

    # Signs page tokens: the same for all replicas.
    secret: Annotated[SecretStr, Field(min_length=32)]


class WorkerSettings(BaseSettings, env_prefix="JOBS_", frozen=True):
    """Those of a worker, read from the environment as `JOBS_...`.

    What Spark and Hadoop need stands there as they call it: JAVA_HOME, HADOOP_CONF_DIR.
    """

    database_url: PostgresDsn

    yarn_url: str = "http://127.0.0.1:8088"
    yarn_user: str = "hashiramart"
    spark_home: Path
    # The folder of Hadoop's jars, those of YARN's client among them.
    hadoop_jars: Path
    # What applications are submitted with: `spark-submit --properties-file`. No secret may stand in it, for Spark's pages show it.
    spark_properties: Path

    raw_root: str = "hdfs:///hashiramart/raw"
    # The store. Its keys come from the environment, as AWS calls them, or from the file that AWS_SHARED_CREDENTIALS_FILE names.
    store_url: str = "http://127.0.0.1:9000"
    store_region: str = "us-east-1"
    lake_bucket: str = "lake"
    # For the data's manifest.
    code_commit: str = ""

    # A worker that is not heard of for so long has lost its job to another.
    lease_seconds: float = 15
    tick_seconds: float = 1
    submit_seconds: Annotated[float, Field(gt=0)] = 120
    job_seconds: float = 7200
    attempts: Annotated[int, Field(ge=1)] = 8
    retry_seconds: float = 10
    longest_retry_seconds: float = 300
    log_lines_kept: Annotated[int, Field(ge=1)] = 20_000

    @property
    def etl_arguments(self) -> list[str]:
        """What every ETL is told."""
        told = {"raw-root": self.raw_root, "store-url": self.store_url, "region": self.store_region, "bucket": self.lake_bucket}
        if self.code_commit:
            told["code-commit"] = self.code_commit
        return [word for name, value in told.items() for word in (f"--{name}", value)]
