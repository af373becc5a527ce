"""What the jobs service and its workers need from their environment."""

import sys
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from minio.credentials.providers import AWSConfigProvider
from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings
from services.jobs.package import ROOT


class Settings(EnvironmentSettings, env_prefix="JOBS_"):
    """Those of the service, read from the environment as `JOBS_...`."""

    listen: str = "127.0.0.1:50055"
    database_url: PostgresDsn
    # Leads to PostgreSQL itself if `database_url` leads to a pooler: there the service is told of changes, else it has to ask.
    database_direct_url: PostgresDsn | None = None

    # Signs page tokens: the same for all replicas.
    secret: Annotated[SecretStr, Field(min_length=32)]


class WorkerSettings(EnvironmentSettings, env_prefix="JOBS_"):
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
    # For the data's manifest, and the models' lineage.
    code_commit: str = ""

    # The NameNode's REST API, by which recorded events get into the raw zone.
    webhdfs_url: str = "http://127.0.0.1:9870"
    # Where the recommender tells of recorded events, and the secret by which the worker proves itself as `jobs`. Without both the raw
    # zone gets no new events.
    recommender_address: str = ""
    service_secret: SecretStr | None = None

    # Training: the Python that has what it takes, the checkout whose pipeline it runs, and where each has a folder of its own for it.
    # DVC's own settings stand in the environment as it calls them: DVC_GLOBAL_CONFIG_DIR.
    training_python: Path = Path(sys.executable)
    training_checkout: Path = ROOT
    training_folder: Path = Field(default_factory=lambda: Path(gettempdir(), "hashiramart-training"))
    mlflow_url: str = "http://127.0.0.1:5000"
    # The file with training's own key for the store, if it has one.
    training_credentials_file: Path | None = None

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
    def secrets(self) -> list[str]:
        """What no log may show, besides the store's key."""
        file = self.training_credentials_file
        keys = [AWSConfigProvider(str(file)).retrieve().secret_key] if file else []
        own = self.service_secret.get_secret_value() if self.service_secret else ""
        return [self.database_url.hosts()[0]["password"] or "", own, *keys]

    @property
    def training_environment(self) -> dict[str, str]:
        """What every training finds in its environment, besides what the worker has."""
        told = {
            "PIPELINE_STORE_URL": self.store_url,
            "PIPELINE_STORE_REGION": self.store_region,
            "PIPELINE_LAKE_BUCKET": self.lake_bucket,
            "PIPELINE_MLFLOW_URL": self.mlflow_url,
            "PIPELINE_CODE_COMMIT": self.code_commit,
        }
        if self.training_credentials_file:
            told["AWS_SHARED_CREDENTIALS_FILE"] = str(self.training_credentials_file)
        return {name: value for name, value in told.items() if value}

    @property
    def etl_arguments(self) -> list[str]:
        """What every ETL is told."""
        told = {"raw-root": self.raw_root, "store-url": self.store_url, "region": self.store_region, "bucket": self.lake_bucket}
        if self.code_commit:
            told["code-commit"] = self.code_commit
        return [word for name, value in told.items() for word in (f"--{name}", value)]
