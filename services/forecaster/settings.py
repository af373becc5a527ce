"""Configuration of the forecaster service."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings
from ml.registry.client import MAX_BYTES


class Settings(EnvironmentSettings, env_prefix="FORECASTER_"):
    """Read from the environment as `FORECASTER_...`."""

    listen: str = "127.0.0.1:50054"
    """The address to listen on."""
    database_url: PostgresDsn
    """The URL of the PostgreSQL database."""
    database_direct_url: PostgresDsn | None = None
    """The URL of PostgreSQL itself where `database_url` leads to a pooler. Without it, the service polls for changes of the calendar."""
    catalog_address: str = "127.0.0.1:50052"
    """The address of the catalog service, which has the names of products."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """The URL of MLflow."""
    max_model_bytes: Annotated[int, Field(gt=0)] = MAX_BYTES
    """The largest size of a model's files together, in bytes: a larger one is not loaded."""
    model_folder: Path
    """The folder in which this process keeps the champion's artifact. Not shared with other processes."""
    poll_seconds: Annotated[float, Field(gt=0)] = 2
    """The interval at which the registry is asked for the champion."""

    secret: Annotated[SecretStr, Field(min_length=32)]
    """Signs page tokens: the same for all replicas."""
    service_secret: Annotated[SecretStr, Field(min_length=32)]
    """The secret by which the service authenticates to auth."""
