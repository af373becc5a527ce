"""Configuration of the catalog service."""

from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings


class Settings(EnvironmentSettings, env_prefix="CATALOG_"):
    """Read from the environment as `CATALOG_...`."""

    listen: str = "127.0.0.1:50052"
    """The address to listen on."""
    database_url: PostgresDsn
    """The URL of the PostgreSQL database."""
    database_direct_url: PostgresDsn | None = None
    """The URL of PostgreSQL itself where `database_url` leads to a pooler. Without it, the service polls for changes."""

    secret: Annotated[SecretStr, Field(min_length=32)]
    """Authenticates page tokens. The same for all replicas."""
    service_secret: Annotated[SecretStr, Field(min_length=32)]
    """The secret by which the service authenticates to auth."""
