"""Where each service is reached, and how the gateway serves."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings, env_prefix="GATEWAY_", frozen=True):
    """Read from the environment as `GATEWAY_...`. Addresses are `host:port`."""

    listen: str = "127.0.0.1:8000"
    workers: int = 2
    descriptors: Path = ROOT / "gen" / "descriptors.binpb"

    auth_address: str = "127.0.0.1:50051"
    catalog_address: str = "127.0.0.1:50052"
    recommender_address: str = "127.0.0.1:50053"
    forecaster_address: str = "127.0.0.1:50054"
    jobs_address: str = "127.0.0.1:50055"

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Whose word on the client's address is taken."""
    heartbeat_seconds: float = 15
    """How often an idle stream of events shows that it is alive."""

    def address(self, service: str) -> str:
        """Where a service of this full name is reached: `hashiramart.catalog.v1.CatalogService` at `catalog_address`."""
        name = f"{service.split('.')[1]}_address"
        if name not in Settings.model_fields:
            raise ValueError(f"there is no address for {service}: settings need {name}")
        address: str = getattr(self, name)
        return address
