"""Settings from the environment, and those that all processes share."""

import os
import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, FilePath, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsError

# The largest message that services accept and send.
MESSAGE_BYTES = 16 * 1024 * 1024

S = TypeVar("S", bound=BaseSettings)


class EnvironmentSettings(BaseSettings, frozen=True, hide_input_in_errors=True, env_ignore_empty=True, use_attribute_docstrings=True):
    """Read from environment variables. One that is missing or empty is read from a file of its name in the folder SECRETS_FOLDER.

    That is where containers have their secrets.
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


def read(settings: type[S], prefix: str | None = None) -> S:
    """Reads settings. Exits the process with a line for each that is missing or invalid.

    prefix: of the environment variables, in place of the class's own
    """
    prefix = settings.model_config["env_prefix"] if prefix is None else prefix
    try:
        return settings(_env_prefix=prefix)
    except ValidationError as error:
        sys.exit("\n".join(f"{prefix}{str(detail['loc'][0]).upper()}: {detail['msg']}" for detail in error.errors()))
    except SettingsError as error:
        sys.exit(f"{str(error).capitalize()} of {prefix}...: it has to be JSON.")


class ShopSettings(EnvironmentSettings, env_prefix="SHOP_"):
    """What all services have to know of the shop, read from the environment as `SHOP_...`. Set both before the first data arrives."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "GBP"
    """The shop's one currency, ISO 4217. Prices and revenue are in its minor units; another currency in a request is refused."""
    time_zone: ZoneInfo = ZoneInfo("UTC")
    """The shop's time zone, by its IANA name, such as `Europe/London`. Days are days in this zone."""


class MeshSettings(EnvironmentSettings, env_prefix="MESH_", populate_by_name=True):
    """Read from the environment as `MESH_...`. Times are in seconds, addresses are `host:port`."""

    auth_address: str = "127.0.0.1:50051"
    """The address of the auth service."""
    jwt_issuer: str = "hashiramart"
    """The issuer (`iss`) of access tokens."""
    jwt_audience: str = "hashiramart"
    """The audience (`aud`) of access tokens."""

    tls_certificate: FilePath | None = None
    """The certificate of this process. With it, every port and channel speaks TLS."""
    tls_key: FilePath | None = None
    """The private key of the certificate."""
    tls_ca: FilePath | None = None
    """The certificate of the authority that has issued the certificates of the other processes."""
    tls_require_client: bool = True
    """Whether a server accepts only clients with a certificate."""
    plaintext_allowed: bool = False
    """Whether to serve and call other hosts than the loopback without TLS. For private networks only, such as containers on one host."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    """The networks of proxies whose `x-forwarded-for` is believed: the gateway's."""

    transport: Literal["grpcio", "native"] = "grpcio"
    """What carries calls: the library grpcio, or `mesh.transport`, which is faster. Both speak gRPC with any other program."""
    deadline_seconds: float = 10
    """The deadline of a unary call whose caller sets none."""
    stream_idle_seconds: float = 300
    """For how long a response stream may be silent before its client ends it."""
    drain_delay_seconds: float = 0.5
    """For how long a stopping server goes on serving clients that have not noticed yet."""
    grace_seconds: float = 20
    """For how long a stopping server waits for the calls under way."""

    database_pool_size: int = 10
    """The largest number of connections of a process to its database."""
    database_acquire_seconds: float = 2
    """The longest wait for a free connection of the pool."""
    database_connect_seconds: float = 1.5
    """The timeout for opening a connection."""
    database_statement_seconds: float = 5
    """The timeout of a statement."""
    database_lock_seconds: float = 3
    """How long a statement waits for a lock that another transaction holds."""
    database_pooler: bool = False
    """Whether the database is behind a pooler in transaction mode (PgBouncer, Supabase, Neon), which keeps no session state."""

    log_level: str = "info"
    """The least severe level that is logged: debug, info, warning or error."""
    metrics_listen: str = ""
    """The address at which this process serves metrics for Prometheus. If empty, it serves none."""
    otlp_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """The OTLP endpoint to which spans are exported. If unset, none are. OpenTelemetry's other variables (`OTEL_...`) apply as well."""
