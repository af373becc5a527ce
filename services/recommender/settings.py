"""Configuration of the recommender service."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings
from ml.registry.client import MAX_BYTES
from ml.registry.signature import KeyText

_Secret = Annotated[SecretStr, Field(min_length=32)]


class Settings(EnvironmentSettings, env_prefix="RECOMMENDER_"):
    """Read from the environment as `RECOMMENDER_...`."""

    listen: str = "127.0.0.1:50053"
    """The address to listen on."""
    database_url: PostgresDsn
    """The URL of the PostgreSQL database."""
    catalog_address: str = "127.0.0.1:50052"
    """The address of the catalog service."""
    forecaster_address: str = ""
    """The address of the forecaster service. If it is set, what will sell out before it can be reordered is held back in lists, and what
    lies too long is boosted."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """The URL of MLflow."""
    mlflow_username: str = "recommender"
    """The name by which the service signs in to MLflow."""
    mlflow_password: SecretStr | None = None
    """The password for that. Without it, the service does not sign in."""
    model_key: KeyText
    """The public key of the pipeline, 32 bytes as base64url: models that it has not signed are not loaded."""
    max_model_bytes: Annotated[int, Field(gt=0)] = MAX_BYTES
    """The largest size of a model's files together, in bytes: a larger one is not loaded."""
    model_folder: Path
    """The folder in which this process keeps the champion's artifact. Not shared with other processes."""
    shopper_orders_count: bool = False
    """Whether purchases and returns that shoppers report themselves count for others. For shops without an order system."""
    required_shadow_lists: Annotated[int, Field(ge=0)] = 0
    """How many lists a version has to make in shadow before it can be promoted without force; 0 asks for none."""
    exposure_retention: timedelta = timedelta(days=90)
    """For how long it is kept which lists were shown to whom, and made in shadow."""
    visitor_retention: timedelta = timedelta(days=90)
    """After how long without a visit the events of a visitor are deleted."""
    poll_seconds: Annotated[float, Field(gt=0)] = 2
    """The interval at which the registry is asked for the champion."""

    secret: _Secret
    """Signs page tokens and forced promotions: the same for all replicas."""
    service_secret: _Secret
    """The client secret by which the service identifies itself to auth, which has it too."""

    @property
    def mlflow_auth(self) -> tuple[str, str] | None:
        """The name and the password for MLflow."""
        return (self.mlflow_username, self.mlflow_password.get_secret_value()) if self.mlflow_password else None
