"""What one may choose about the local stack, by the environment or by lines in a file `.env` beside the Makefile."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

Key = TypeVar("Key")
ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings, frozen=True, env_ignore_empty=True):
    """Read from the environment as they are called here, in capitals."""

    # Data, logs and secrets.
    stack_folder: Annotated[Path, AfterValidator(Path.absolute)] = ROOT / ".local"
    # A PostgreSQL database to use; without one the stack runs a server of its own.
    postgres_url: str | None = None

    # The S3 store that the stack runs, unless there is an endpoint to use, such as https://s3.eu-west-1.amazonaws.com. There the
    # buckets exist already, and the key may write to them.
    object_store: Literal["minio", "seaweedfs"] = "minio"
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    s3_access_key: str | None = Field(None, validate_default=True)
    s3_secret_key: SecretStr | None = Field(None, validate_default=True)
    lake_bucket: str = "lake"
    mlflow_bucket: str = "mlflow"
    dvc_bucket: str = "dvc"

    # The configuration of an HDFS and a YARN to use, where /hashiramart is ours to write; without one the stack runs both.
    hadoop_conf_dir: Path | None = None
    # What all applications on our YARN may hold together.
    yarn_memory_mb: int = 6144

    # The raw sales that the demo is made of.
    demo_file: Path = ROOT / "datasets" / "online_retail_ii.csv.gz"

    postgres_port: int = 54320
    minio_port: int = 9000
    minio_console_port: int = 9001
    # SeaweedFS takes the nine ports after it too.
    seaweedfs_port: int = 8333
    namenode_port: int = 9870
    namenode_rpc_port: int = 8020
    datanode_port: int = 9866
    resourcemanager_port: int = 8088
    resourcemanager_rpc_port: int = 8032
    resourcemanager_scheduler_port: int = 8030
    resourcemanager_tracker_port: int = 8031
    nodemanager_port: int = 8042
    nodemanager_rpc_port: int = 8041
    history_port: int = 8080
    mlflow_port: int = 5000
    auth_port: int = 50051
    catalog_port: int = 50052
    recommender_port: int = 50053
    forecaster_port: int = 50054
    jobs_port: int = 50055
    # Its metrics.
    jobs_worker_port: int = 50065
    gateway_port: int = 8000

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.stack_folder / "logs"

    @property
    def data(self) -> Path:
        """The folder of what the engines keep."""
        return self.stack_folder / "data"

    @field_validator("s3_access_key", "s3_secret_key")
    @classmethod
    def _comes_with_an_endpoint(cls, key: Key, others: ValidationInfo) -> Key:
        if key is None and others.data.get("s3_endpoint") is not None:
            raise ValueError("S3_ENDPOINT wants it")
        return key
