"""The gateway's configuration."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import Field, FilePath, ValidationInfo, field_validator

from mesh.settings import EnvironmentSettings

ROOT = Path(__file__).resolve().parent.parent


class Settings(EnvironmentSettings, env_prefix="GATEWAY_"):
    """Read from the environment as `GATEWAY_...`. Addresses are `host:port`."""

    listen: str = "127.0.0.1:8000"
    """The address to listen on."""
    workers: int = 2
    """The number of worker processes."""
    tls_certificate: FilePath | None = None
    """With a certificate and its key, the gateway serves HTTPS only."""
    tls_key: FilePath | None = Field(None, validate_default=True)
    """The certificate's private key."""
    descriptors: Path = ROOT / "gen" / "descriptors.binpb"
    """The contracts, as the descriptor set that `buf` writes."""

    auth_address: str = "127.0.0.1:50051"
    """The address of the auth service."""
    catalog_address: str = "127.0.0.1:50052"
    """The address of the catalog service."""
    recommender_address: str = "127.0.0.1:50053"
    """The address of the recommender service."""
    forecaster_address: str = "127.0.0.1:50054"
    """The address of the forecaster service."""
    jobs_address: str = "127.0.0.1:50055"
    """The address of the jobs service."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """The networks of the proxies whose `X-Forwarded-For` is believed."""
    keep_alive_seconds: float = 75
    """How long an idle connection stays open: longer than a proxy in front keeps it, which for most is 60 seconds."""
    heartbeat_seconds: float = 15
    """How often an idle stream of events sends a comment, so that nothing in between takes it for dead."""

    @field_validator("tls_key")
    @classmethod
    def _check_certificate(cls, key: Path | None, others: ValidationInfo) -> Path | None:
        if (key is None) != (others.data.get("tls_certificate") is None):
            raise ValueError("the certificate and its key have to be set together")
        return key

    def address(self, service: str) -> str:
        """The address of a service by its full name: of `hashiramart.catalog.v1.CatalogService` it is `catalog_address`."""
        name = f"{service.split('.')[1]}_address"
        if name not in Settings.model_fields:
            raise ValueError(f"the settings have no {name} for {service}")
        address: str = getattr(self, name)
        return address
