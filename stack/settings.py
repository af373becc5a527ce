"""Configuration of the local stack, from environment variables or a file `.env` beside the Makefile."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

Key = TypeVar("Key")
ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings, frozen=True, env_ignore_empty=True, use_attribute_docstrings=True):
    """Read from environment variables with the names of the fields, in capitals. All ports are on 127.0.0.1."""

    stack_folder: Annotated[Path, AfterValidator(Path.absolute)] = ROOT / ".local"
    """The folder of data, logs and secrets."""
    postgres_url: str | None = None
    """The URL of a PostgreSQL database to use, as its owner, who may create roles. Without it, the stack runs its own server."""
    postgres_direct_url: str | None = None
    """The URL of PostgreSQL itself, if `POSTGRES_URL` is that of a pooler in transaction mode."""

    object_store: Literal["minio", "seaweedfs"] = "minio"
    """The S3 store that the stack runs, unless `S3_ENDPOINT` is set."""
    s3_endpoint: str | None = None
    """The URL of an S3 store to use, such as https://s3.eu-west-1.amazonaws.com, where the three buckets exist."""
    s3_region: str = "us-east-1"
    """The region of the S3 store."""
    s3_access_key: str | None = Field(None, validate_default=True)
    """The access key for `S3_ENDPOINT`, with write access to the buckets."""
    s3_secret_key: SecretStr | None = Field(None, validate_default=True)
    """The secret key for `S3_ENDPOINT`."""
    lake_bucket: str = "lake"
    """The bucket of the clean data."""
    mlflow_bucket: str = "mlflow"
    """The bucket of MLflow's artifacts."""
    dvc_bucket: str = "dvc"
    """The bucket of DVC's remote storage."""

    hadoop_conf_dir: Path | None = None
    """The configuration folder of an HDFS and YARN to use, with write access to /hashiramart. Without it, the stack runs both."""
    yarn_memory_mb: int = 6144
    """The memory of all applications on the stack's YARN together."""

    replicas: Annotated[int, Field(ge=1, le=9)] = 1
    """The number of processes of each service, the gateway and the jobs worker. The ports of one replica and the next are 100 apart."""

    shop_currency: str = "GBP"
    """The shop's currency: by default, that of the demo's sales."""
    shop_time_zone: str = "Europe/London"
    """The shop's time zone: by default, that of the demo's sales."""

    demo_file: Path = ROOT / "datasets" / "online_retail_ii.csv.gz"
    """The raw sales for the demo."""
    demo_mapping: Path | None = None
    """The mapping file for the demo's raw sales; without one, columns and rules are found by a look at the file."""

    postgres_port: int = 54320
    """PostgreSQL."""
    minio_port: int = 9000
    """MinIO: S3 API."""
    minio_console_port: int = 9001
    """MinIO: web console."""
    seaweedfs_port: int = 8333
    """SeaweedFS: S3 API. It also uses the nine ports that follow."""
    namenode_port: int = 9870
    """HDFS NameNode: web pages and WebHDFS."""
    namenode_rpc_port: int = 8020
    """HDFS NameNode: RPC."""
    datanode_port: int = 9866
    """HDFS DataNode: data transfer."""
    resourcemanager_port: int = 8088
    """YARN ResourceManager: web pages and REST API."""
    resourcemanager_rpc_port: int = 8032
    """YARN ResourceManager: RPC of clients."""
    resourcemanager_scheduler_port: int = 8030
    """YARN ResourceManager: RPC of applications."""
    resourcemanager_tracker_port: int = 8031
    """YARN ResourceManager: RPC of nodes."""
    nodemanager_port: int = 8042
    """YARN NodeManager: web pages and REST API."""
    nodemanager_rpc_port: int = 8041
    """YARN NodeManager: RPC."""
    history_port: int = 8080
    """Spark's history server."""
    mlflow_port: int = 5000
    """MLflow: web pages and REST API."""
    auth_port: int = 50051
    """Auth: gRPC."""
    catalog_port: int = 50052
    """Catalog: gRPC."""
    recommender_port: int = 50053
    """Recommender: gRPC."""
    forecaster_port: int = 50054
    """Forecaster: gRPC."""
    jobs_port: int = 50055
    """Jobs: gRPC."""
    jobs_worker_port: int = 50065
    """Jobs worker: metrics."""
    gateway_port: int = 8000
    """Gateway: REST."""

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.stack_folder / "logs"

    @property
    def data(self) -> Path:
        """The folder of the engines' data."""
        return self.stack_folder / "data"

    @field_validator("s3_access_key", "s3_secret_key")
    @classmethod
    def _require_with_endpoint(cls, key: Key, others: ValidationInfo) -> Key:
        if key is None and others.data.get("s3_endpoint") is not None:
            raise ValueError("required with S3_ENDPOINT")
        return key
