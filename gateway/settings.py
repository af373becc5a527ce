"""The gateway's configuration."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, ValidationInfo, field_validator

from gateway.cors import ANY_ORIGIN, check_origin
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
    console: Path = ROOT / "console" / "dist"
    """The folder of the built console."""

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
    cors_origins: tuple[Annotated[str, AfterValidator(check_origin)], ...] = ()
    """The origins whose pages may call the gateway, such as `["https://shop.example.com"]`, or `["*"]`. By default, only its own."""
    cors_credentials: bool = Field(False, validate_default=True)
    """Whether those pages may send cookies, which a proxy in front may ask for. The gateway itself reads none."""
    keep_alive_seconds: float = 75
    """How long an idle connection stays open: longer than a proxy in front keeps it, which for most is 60 seconds."""
    max_connections: int = Field(4096, ge=1)
    """How many connections a worker has at most. Close to that, it closes those that were answered longest ago."""
    max_connections_per_address: int = Field(256, ge=1)
    """How many connections one client address, or IPv6 network of 64 bits, has with a worker at most. Trusted proxies are not counted."""
    max_requests: int = Field(1024, ge=1)
    """How many requests a worker has under way at most, streams included. Further ones are answered 503."""
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024 * 1024)
    """How many bytes of bodies a worker holds at once, besides those up to 16 KiB. Further ones are answered 503."""
    max_streams_per_address: int = Field(64, ge=1)
    """How many streams one client address has with a worker at most. Trusted proxies and this machine are not counted."""
    max_streams_per_subject: int = Field(16, ge=1)
    """How many streams one user or external system has with a worker at most."""
    rate_window_seconds: int = Field(10, ge=1)
    """The time in which the numbers of requests below count."""
    requests_per_address: int = Field(1000, ge=0)
    """How many requests one client address sends a worker at most in that time; 0 for any. Proxies and this machine do not count."""
    requests_per_subject: int = Field(1000, ge=0)
    """How many requests one user or external system sends a worker at most in that time; 0 for any."""
    heartbeat_seconds: float = 15
    """How often an idle stream of events sends a comment, so that nothing in between takes it for dead."""

    @field_validator("tls_key")
    @classmethod
    def _check_certificate(cls, key: Path | None, others: ValidationInfo) -> Path | None:
        if (key is None) != (others.data.get("tls_certificate") is None):
            raise ValueError("the certificate and its key have to be set together")
        return key

    @field_validator("cors_credentials")
    @classmethod
    def _check_credentials(cls, credentials: bool, others: ValidationInfo) -> bool:
        if credentials and ANY_ORIGIN in others.data.get("cors_origins", ()):
            raise ValueError("with credentials, every page that a customer visits could act as the customer: list the origins instead of *")
        return credentials

    def address(self, service: str) -> str:
        """The address of a service by its full name: of `hashiramart.catalog.v1.CatalogService` it is `catalog_address`."""
        name = f"{service.split('.')[1]}_address"
        if name not in Settings.model_fields:
            raise ValueError(f"the settings have no {name} for {service}")
        address: str = getattr(self, name)
        return address
