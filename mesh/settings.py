"""Where every process has its settings from, and those that all share."""

import os
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import Field, FilePath, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsError

# The largest message that services take and give.
MESSAGE_BYTES = 16 * 1024 * 1024


Chosen = TypeVar("Chosen", bound=BaseSettings)


class EnvironmentSettings(BaseSettings, frozen=True, hide_input_in_errors=True, env_ignore_empty=True):
    """Read from the environment; what is not there, or empty, from a file of that name in SECRETS_FOLDER.

    That is where containers find secrets.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = Path(os.environ.get("SECRETS_FOLDER", "/run/secrets"))
        if isinstance(file_secret_settings, SecretsSettingsSource) and folder.is_dir():
            file_secret_settings.secrets_dir = folder
        return init_settings, env_settings, file_secret_settings


def read(settings: type[Chosen], prefix: str | None = None) -> Chosen:
    """The settings as they are chosen. Ends the program with a line for each that is wrong or missing."""
    named = settings.model_config["env_prefix"] if prefix is None else prefix
    try:
        return settings(_env_prefix=named)
    except ValidationError as error:
        sys.exit("\n".join(f"{named}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()))
    except SettingsError as error:
        sys.exit(f"{str(error).capitalize()} of {named}...: it has to be JSON.")


class MeshSettings(EnvironmentSettings, env_prefix="MESH_", populate_by_name=True):
    """Read from the environment as `MESH_...`. Times are in seconds, addresses are `host:port`."""

    auth_address: str = "127.0.0.1:50051"
    jwt_issuer: str = "hashiramart"
    jwt_audience: str = "hashiramart"

    # This process's certificate and its key, and the authority that its peers' certificates must come from.
    # Set, every port and channel speaks TLS, and a server takes only peers with a certificate (`tls_require_client`).
    tls_certificate: FilePath | None = None
    tls_key: FilePath | None = None
    tls_ca: FilePath | None = None
    tls_require_client: bool = True
    # Without TLS, only the loopback is served and called, unless the network between is private: containers on one host.
    plaintext_allowed: bool = False

    deadline_seconds: float = 10
    stream_idle_seconds: float = 300
    # How long a server that was told to stop is still served by clients that have not noticed, and waits for calls under way.
    drain_delay_seconds: float = 0.5
    grace_seconds: float = 20

    database_pool_size: int = 10
    database_acquire_seconds: float = 2
    database_connect_seconds: float = 1.5
    database_statement_seconds: float = 5
    # The database is behind a pooler in transaction mode (PgBouncer, Supabase, Neon), which keeps nothing of a session.
    database_pooler: bool = False

    log_level: str = "info"
    # Where Prometheus may read this process's metrics. Empty: nowhere.
    metrics_listen: str = ""
    # Where spans go. OpenTelemetry's own variable, and its others (`OTEL_...`) hold too. Unset: nowhere.
    otlp_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
