"""What the catalog service needs from its environment."""

from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings


class Settings(EnvironmentSettings, env_prefix="CATALOG_"):
    """Read from the environment as `CATALOG_...`."""

    listen: str = "127.0.0.1:50052"
    database_url: PostgresDsn
    # Leads to PostgreSQL itself if `database_url` leads to a pooler: there the service is told of changes, else it has to ask.
    database_direct_url: PostgresDsn | None = None

    # Signs page tokens: the same for all replicas.
    secret: Annotated[SecretStr, Field(min_length=32)]
    # The currency of products that name none, ISO 4217.
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "GBP"
