"""Configuration of the forecaster service."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from mesh.settings import EnvironmentSettings


class Settings(EnvironmentSettings, env_prefix="FORECASTER_"):
    """Read from the environment as `FORECASTER_...`."""

    listen: str = "127.0.0.1:50054"
    """The address to listen on."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """The URL of MLflow."""
    model_folder: Path
    """The folder in which this process keeps the champion's artifact. Not shared with other processes."""
    poll_seconds: Annotated[float, Field(gt=0)] = 2
    """The interval at which the registry is asked for the champion."""

    secret: Annotated[SecretStr, Field(min_length=32)]
    """Signs page tokens: the same for all replicas."""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "GBP"
    """The currency of the sales, ISO 4217."""
