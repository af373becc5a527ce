"""What the recommender service needs from its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings

_Secret = Annotated[SecretStr, Field(min_length=32)]


class Settings(EnvironmentSettings, env_prefix="RECOMMENDER_"):
    """Read from the environment as `RECOMMENDER_...`."""

    listen: str = "127.0.0.1:50053"
    database_url: PostgresDsn
    catalog_address: str = "127.0.0.1:50052"
    mlflow_url: str = "http://127.0.0.1:5000"
    # Where the promoted model is kept, for this process alone.
    model_folder: Path
    # How often the registry is asked for it.
    poll_seconds: Annotated[float, Field(gt=0)] = 2

    # Signs page tokens: the same for all replicas.
    secret: _Secret
    # What the service proves itself by to auth, which knows it too.
    service_secret: _Secret
