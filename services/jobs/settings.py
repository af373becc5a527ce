"""Settings of the jobs service and its workers."""

import sys
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from minio.credentials.providers import AWSConfigProvider
from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings
from services.jobs.package import ROOT


class Settings(EnvironmentSettings, env_prefix="JOBS_"):
    """Settings of the service, read from the environment as `JOBS_...`."""

    listen: str = "127.0.0.1:50055"
    """The address to listen on."""
    database_url: PostgresDsn
    """The URL of the PostgreSQL database."""
    database_direct_url: PostgresDsn | None = None
    """A direct connection to PostgreSQL if `database_url` leads to a pooler. Without one the service polls for changes."""

    secret: Annotated[SecretStr, Field(min_length=32)]
    """Signs page tokens; the same for all replicas."""
    service_secret: Annotated[SecretStr, Field(min_length=32)]
    """The secret by which the service authenticates to auth."""

    forecaster_address: str = "127.0.0.1:50054"
    """The address of the forecaster service, whose alarms schedules may follow."""

    raw_zone_url: str = "webhdfs://hashiramart@127.0.0.1:9870/hashiramart/raw"
    """The raw zone in HDFS, by its REST API, for uploading, listing and deleting raw files; over HTTPS it begins with `swebhdfs:`."""
    yarn_url: str = "http://127.0.0.1:8088"
    """The ResourceManager's REST API, for operators to see whether it is up."""
    upload_bytes: Annotated[int, Field(gt=0)] = 4 * 1024**3
    """The largest size of an uploaded file, in bytes."""
    store_url: str = "http://127.0.0.1:9000"
    """The S3 store. Its keys come from AWS's own variables, or from the file that AWS_SHARED_CREDENTIALS_FILE names."""
    store_region: str = "us-east-1"
    """The region of the S3 store."""
    lake_bucket: str = "lake"
    """The bucket of the clean data."""


class WorkerSettings(EnvironmentSettings, env_prefix="JOBS_"):
    """Settings of a worker, read from the environment as `JOBS_...`. Spark and Hadoop read their own: JAVA_HOME, HADOOP_CONF_DIR."""

    database_url: PostgresDsn
    """The URL of the PostgreSQL database."""

    yarn_url: str = "http://127.0.0.1:8088"
    """The ResourceManager's REST API."""
    yarn_user: str = "hashiramart"
    """The user that submits applications to YARN, unless a principal does."""
    spark_home: Path
    """The folder of Spark."""
    hadoop_jars: Path
    """The folder of Hadoop's jars, including those of YARN's client."""
    spark_properties: Path
    """The properties file for `spark-submit`. It must not contain secrets, as Spark's web pages show it."""

    raw_root: str = "hdfs:///hashiramart/raw"
    """The raw zone in HDFS."""
    store_url: str = "http://127.0.0.1:9000"
    """The S3 store. Its keys come from AWS's own variables, or from the file that AWS_SHARED_CREDENTIALS_FILE names."""
    store_region: str = "us-east-1"
    """The region of the S3 store."""
    lake_bucket: str = "lake"
    """The bucket of the clean data."""
    code_commit: str = ""
    """The commit that the data's manifest and the models' lineage name."""

    webhdfs_url: str = "http://127.0.0.1:9870"
    """The NameNode's REST API, for exporting recorded events and exposures to the raw zone."""
    recommender_address: str = ""
    """The recommender that records events. No events and exposures are exported without this and `service_secret`."""
    exposure_delay: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(days=1)
    """How old an exposure has to be to be exported: what the shopper did because of it later than that is missing in the raw zone."""
    service_secret: SecretStr | None = None
    """The secret by which the worker authenticates as the service `jobs`."""

    training_python: Path = Path(sys.executable)
    """The Python interpreter for training. DVC reads its own settings: DVC_GLOBAL_CONFIG_DIR."""
    training_checkout: Path = ROOT
    """The checkout whose pipeline is run."""
    training_folder: Path = Field(default_factory=lambda: Path(gettempdir(), "hashiramart-training"))
    """Where each training gets a folder of its own."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """The URL of MLflow."""
    mlflow_username: str = "training"
    """The name by which the worker and trainings sign in to MLflow."""
    mlflow_password: SecretStr | None = None
    """The password for that. Without it, they do not sign in."""
    signing_key: Annotated[SecretStr, Field(min_length=43, max_length=43)]
    """The private key by which trainings sign models (Ed25519), 32 bytes as base64url."""
    training_credentials_file: Path | None = None
    """The AWS credentials file with training's own key to the store."""

    lease_seconds: float = 15
    """After this time without a renewal, a job is taken over by another worker."""
    tick_seconds: float = 1
    """The interval at which a worker advances its jobs."""
    submit_seconds: Annotated[float, Field(gt=0)] = 120
    """The timeout of submitting an application."""
    job_seconds: float = 7200
    """The timeout of a job: all attempts and the waits between them together."""
    attempts: Annotated[int, Field(ge=1)] = 8
    """The largest number of attempts of a job."""
    retry_seconds: float = 10
    """The delay before the second attempt; it doubles with each further one."""
    longest_retry_seconds: float = 300
    """The longest delay between attempts."""
    log_lines_kept: Annotated[int, Field(ge=1)] = 20_000
    """The largest number of log lines stored for a job."""

    retention: Annotated[timedelta, Field(gt=timedelta(days=1))] = timedelta(days=30)
    """For how long earlier snapshots of the clean data, and what trainings made of them, are kept."""
    log_retention: timedelta = timedelta(days=90)
    """For how long the log of a job that has ended is kept."""

    @property
    def secrets(self) -> list[str]:
        """Secrets to redact from logs, besides the store's key."""
        file = self.training_credentials_file
        keys = [AWSConfigProvider(str(file)).retrieve().secret_key] if file else []
        own = [secret.get_secret_value() for secret in (self.service_secret, self.mlflow_password, self.signing_key) if secret]
        return [self.database_url.hosts()[0]["password"] or "", *own, *keys]

    @property
    def mlflow_auth(self) -> tuple[str, str] | None:
        """The name and the password for MLflow."""
        return (self.mlflow_username, self.mlflow_password.get_secret_value()) if self.mlflow_password else None

    @property
    def training_environment(self) -> dict[str, str]:
        """The environment of every training, in addition to the worker's."""
        variables = {
            "PIPELINE_STORE_URL": self.store_url,
            "PIPELINE_STORE_REGION": self.store_region,
            "PIPELINE_LAKE_BUCKET": self.lake_bucket,
            "PIPELINE_MLFLOW_URL": self.mlflow_url,
            "PIPELINE_CODE_COMMIT": self.code_commit,
            "PIPELINE_SIGNING_KEY": self.signing_key.get_secret_value(),
        }
        if self.mlflow_password:
            variables["MLFLOW_TRACKING_USERNAME"] = self.mlflow_username
            variables["MLFLOW_TRACKING_PASSWORD"] = self.mlflow_password.get_secret_value()
        if self.training_credentials_file:
            variables["AWS_SHARED_CREDENTIALS_FILE"] = str(self.training_credentials_file)
        return {name: value for name, value in variables.items() if value}

    @property
    def etl_arguments(self) -> list[str]:
        """The arguments of every ETL."""
        options = {"raw-root": self.raw_root, "store-url": self.store_url, "region": self.store_region, "bucket": self.lake_bucket}
        if self.code_commit:
            options["code-commit"] = self.code_commit
        return [word for name, value in options.items() for word in (f"--{name}", value)]
