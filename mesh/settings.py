"""The settings that all processes share."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

# The largest message that services take and give.
MESSAGE_BYTES = 16 * 1024 * 1024


class MeshSettings(BaseSettings, env_prefix="MESH_", frozen=True, populate_by_name=True):
    """Read from the environment as `MESH_...`. Times are in seconds, addresses are `host:port`."""

    auth_address: str = "127.0.0.1:50051"
    jwt_issuer: str = "hashiramart"
    jwt_audience: str = "hashiramart"

    # This process's certificate and its key, and the authority that its peers' certificates must come from.
    # Set, every port and channel speaks TLS, and a server takes only peers with a certificate (`tls_require_client`).
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
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
