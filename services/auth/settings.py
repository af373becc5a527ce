"""What the auth service needs from its environment."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, PostgresDsn, SecretStr

from mesh.settings import EnvironmentSettings

_Secret = Annotated[SecretStr, Field(min_length=32)]


class Settings(EnvironmentSettings, env_prefix="AUTH_"):
    """Read from the environment as `AUTH_...`."""

    listen: str = "127.0.0.1:50051"
    database_url: PostgresDsn
    recommender_address: str = "127.0.0.1:50053"

    # Seals the signing keys in the database, and signs page tokens.
    secret: _Secret
    # The secret of each service that may ask for a token, by its name, as JSON: {"catalog": "..."}.
    service_secrets: dict[str, _Secret]

    # A sign-in ends when it was not used for so long, and in any case after so long.
    sign_in_idle: timedelta = timedelta(days=30)
    sign_in_lifetime: timedelta = timedelta(days=90)

    # Proxies that tell the truth about where a call comes from (`x-forwarded-for`): the gateway.
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
