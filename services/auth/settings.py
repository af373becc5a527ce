"""Configuration of the auth service."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings

_Secret = Annotated[SecretStr, Field(min_length=32)]


class Settings(EnvironmentSettings, env_prefix="AUTH_"):
    """Read from the environment as `AUTH_...`."""

    listen: str = "127.0.0.1:50051"
    """The address to listen on."""
    database_url: PostgresDsn
    """The URL of the PostgreSQL database."""
    recommender_address: str = "127.0.0.1:50053"
    """The address of the recommender service."""

    secret: _Secret
    """Seals the signing keys in the database, and authenticates page tokens. The same for all replicas."""
    service_secrets: dict[str, _Secret]
    """The secret of each service that may ask for a token, by its name, as JSON: {"catalog": "..."}."""

    sign_in_idle: timedelta = timedelta(days=30)
    """After how long without use a sign-in expires."""
    sign_in_lifetime: timedelta = timedelta(days=90)
    """After how long a sign-in expires in any case."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    """The networks of proxies whose `x-forwarded-for` is believed: the gateway's."""
