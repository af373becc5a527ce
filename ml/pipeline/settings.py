"""What the pipeline needs from its environment."""

from pydantic_settings import BaseSettings


class Settings(BaseSettings, env_prefix="PIPELINE_", frozen=True, env_ignore_empty=True):
    """Read from the environment as `PIPELINE_...`. The store's keys come from the environment, as AWS calls them, or from a file."""

    store_url: str = "http://127.0.0.1:9000"
    store_region: str = "us-east-1"
    lake_bucket: str = "lake"
    mlflow_url: str = "http://127.0.0.1:5000"
    # The job on whose behalf this is done, if it is one.
    job_id: str = ""
    # Of a deployment that is no checkout.
    code_commit: str = ""
