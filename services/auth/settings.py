"""Configuration of the auth service."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PostgresDsn, SecretStr

from mesh.identity import Permission, Role
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
    """Seals the signing keys and second factors in the database, and authenticates page tokens. The same for all replicas."""
    previous_secret: SecretStr = SecretStr("")
    """The secret before, while it is being changed: what is sealed with it is still read. `reseal` seals it anew."""
    service_secrets: dict[str, _Secret]
    """The secret of each service that may ask for a token, by its name, as JSON: {"catalog": "..."}."""

    system_permissions: dict[str, frozenset[Permission]] = Field(default_factory=dict)
    """The permissions of the external systems among them, as JSON: {"till": ["events.write"]}. All others are the mesh's own."""

    sign_in_idle: timedelta = timedelta(days=30)
    """After how long without use a sign-in expires."""
    sign_in_lifetime: timedelta = timedelta(days=90)
    """After how long a sign-in expires in any case."""

    second_factor_roles: frozenset[Literal[Role.STAFF, Role.ADMIN]] = frozenset()
    """The roles that require a second factor, as JSON: ["staff", "admin"]. Who has none signs in as a customer, and can set one up."""

    smtp_host: str | None = None
    """The SMTP server that takes mail. Without it and `mail_folder`, no mail is sent, and no password can be reset by mail."""
    smtp_port: int = 587
    """The port of the SMTP server."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is secured: by STARTTLS, by TLS from the start, or not at all (in a private network)."""
    smtp_user: str = ""
    """The user at the SMTP server. Empty for none."""
    smtp_password: SecretStr = SecretStr("")
    """The user's password at the SMTP server."""
    mail_folder: Path | None = None
    """A folder to which mails are written, in place of an SMTP server."""
    mail_sender: str = "no-reply@localhost"
    """The sender of mails."""
    recovery_link: str = "{token}"
    """The address of the page that sets a new password. It contains `{token}`, such as `https://shop.example.com/reset#{token}`."""
    verify_email_link: str = "{token}"
    """The address of the page that verifies an e-mail address. It contains `{token}`."""

    audit_retention: timedelta = timedelta(days=365)
    """For how long audit events are kept."""
