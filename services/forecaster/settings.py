"""What the forecaster service needs from its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from mesh.settings import EnvironmentSettings


class Settings(EnvironmentSettings, env_prefix="FORECASTER_"):
    """Read from the environment as `FORECASTER_...`."""

    listen: str = "127.0.0.1:50054"
    mlflow_url: str = "http://127.0.0.1:5000"
    # Where the promoted model is kept, for this process alone.
    model_folder: Path
    # How often the registry is asked for it.
    poll_seconds: Annotated[float, Field(gt=0)] = 2

    # Signs page tokens: the same for all replicas.
    secret: Annotated[SecretStr, Field(min_length=32)]
    # The currency of the sales, ISO 4217.
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "GBP"
