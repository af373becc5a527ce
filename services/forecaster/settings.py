"""Configuration of the forecaster service."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings
from ml.registry.client import MAX_BYTES
from ml.registry.signature import KeyText
from services.forecaster.accuracy import Thresholds


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
    mlflow_username: str = "forecaster"
    """The name by which the service signs in to MLflow."""
    mlflow_password: SecretStr | None = None
    """The password for that. Without it, the service does not sign in."""
    model_key: KeyText
    """The public key of the pipeline, 32 bytes as base64url: models that it has not signed are not loaded."""
    max_model_bytes: Annotated[int, Field(gt=0)] = MAX_BYTES
    """The largest size of a model's files together, in bytes: a larger one is not loaded."""
    model_folder: Path
    """The folder in which this process keeps the champion's artifact. Not shared with other processes."""
    poll_seconds: Annotated[float, Field(gt=0)] = 2
    """The interval at which the registry is asked for the champion."""
    store_url: str = "http://127.0.0.1:9000"
    """The S3 store with the clean data, whose sales score forecasts. Its keys come from AWS's own variables, or from the file that
    AWS_SHARED_CREDENTIALS_FILE names."""
    store_region: str = "us-east-1"
    """The region of the S3 store."""
    lake_bucket: str = "lake"
    """The bucket of the clean data."""

    score_seconds: Annotated[float, Field(gt=0)] = 300
    """The interval at which forecasts are scored by new days of the clean data."""
    served_forecast_bytes: Annotated[int, Field(gt=0)] = 64 * 1024**2
    """The size of the served forecasts that are kept for their accuracy, in bytes. Beyond, the oldest are deleted with their scores."""
    alarm_error_ratio: Annotated[float, Field(gt=0)] = 1.5
    """The alarm fires if the error of the last week, relative to that in the backtest, is above this."""
    alarm_bias: Annotated[float, Field(gt=0)] = 0.25
    """The alarm fires if the bias of the last week is farther from 0 than this."""
    alarm_coverage: Annotated[float, Field(ge=0, le=1)] = 0.7
    """The alarm fires if the share of sales within the band of 95 percent in the last week is below this."""
    alarm_stale_days: Annotated[int, Field(ge=0)] = 14
    """The alarm fires if the clean data has more days than this that the champion has not learnt from."""

    secret: Annotated[SecretStr, Field(min_length=32)]
    """Signs page tokens and forced promotions: the same for all replicas."""
    service_secret: Annotated[SecretStr, Field(min_length=32)]
    """The secret by which the service authenticates to auth."""

    @property
    def thresholds(self) -> Thresholds:
        """From when on alarms fire."""
        return Thresholds(self.alarm_error_ratio, self.alarm_bias, self.alarm_coverage, self.alarm_stale_days)

    @property
    def mlflow_auth(self) -> tuple[str, str] | None:
        """The name and the password for MLflow."""
        return (self.mlflow_username, self.mlflow_password.get_secret_value()) if self.mlflow_password else None
