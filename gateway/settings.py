"""Where each service is reached, and how the gateway serves."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import Field, FilePath, ValidationInfo, field_validator

from mesh.settings import EnvironmentSettings

ROOT = Path(__file__).resolve().parent.parent


class Settings(EnvironmentSettings, env_prefix="GATEWAY_"):
    """Read from the environment as `GATEWAY_...`. Addresses are `host:port`."""

    listen: str = "127.0.0.1:8000"
    workers: int = 2
    # With both, HTTPS is served, and nothing else.
    tls_certificate: FilePath | None = None
    tls_key: FilePath | None = Field(None, validate_default=True)
    descriptors: Path = ROOT / "gen" / "descriptors.binpb"

    auth_address: str = "127.0.0.1:50051"
    catalog_address: str = "127.0.0.1:50052"
    recommender_address: str = "127.0.0.1:50053"
    forecaster_address: str = "127.0.0.1:50054"
    jobs_address: str = "127.0.0.1:50055"

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Whose word on the client's address is taken."""
    keep_alive_seconds: float = 75
    """How long an idle connection stays open: longer than a proxy before the gateway keeps it, which for most is 60 seconds."""
    heartbeat_seconds: float = 15
    """How often an idle stream of events shows that it is alive."""

    @field_validator("tls_key")
    @classmethod
    def _comes_with_a_certificate(cls, key: Path | None, others: ValidationInfo) -> Path | None:
        if (key is None) != (others.data.get("tls_certificate") is None):
            raise ValueError("the certificate and its key are set together")
        return key

    def address(self, service: str) -> str:
        """Where a service of this full name is reached: `hashiramart.catalog.v1.CatalogService` at `catalog_address`."""
        name = f"{service.split('.')[1]}_address"
        if name not in Settings.model_fields:
            raise ValueError(f"there is no address for {service}: settings need {name}")
        address: str = getattr(self, name)
        return address
