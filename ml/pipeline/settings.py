"""Settings of the pipeline."""

from pathlib import Path

from pydantic_settings import BaseSettings


class Settings(BaseSettings, env_prefix="PIPELINE_", frozen=True, env_ignore_empty=True, use_attribute_docstrings=True):
    """Read from the environment as `PIPELINE_...`. The store's access keys come from AWS's own variables or credentials file."""

    store_url: str = "http://127.0.0.1:9000"
    """The URL of the S3 store."""
    store_region: str = "us-east-1"
    """The region of the S3 store."""
    lake_bucket: str = "lake"
    """The bucket of the clean data."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """The URL of MLflow."""
    job_id: str = ""
    """The job that trains, or empty."""
    lease: Path | None = None
    """The file in which a job's worker keeps the end of its lease, in seconds of the machine's uptime."""
    code_commit: str = ""
    """The commit of the code where there is no git checkout."""
    progress: Path | None = None
    """The file to which stages append their progress."""
