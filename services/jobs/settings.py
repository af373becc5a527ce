"""What the jobs service and its workers need from their environment."""

from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, env_prefix="JOBS_", frozen=True):
    """Those of the service, read from the environment as `JOBS_...`."""

    listen: str = "127.0.0.1:50055"
    database_url: PostgresDsn
    # Leads to PostgreSQL itself if `database_url` leads to a pooler: there the service is told of changes, else it has to ask.
    database_direct_url: PostgresDsn | None = None

    # Signs page tokens: the same for all replicas.
    secret: Annotated[SecretStr, Field(min_length=32)]
