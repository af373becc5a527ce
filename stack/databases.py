"""The roles of the local stack in PostgreSQL: how each connects, and their creation."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from stack import database_roles
from stack.engines import postgres
from stack.settings import ROOT, Settings

# Processes are started at the same time; what they share in a database is done by the first.
_preparation = threading.Lock()
_created: set[str] = set()
_migrated: set[str] = set()


@dataclass(frozen=True)
class Databases:
    """A database, and the passwords of its roles."""

    url: str = field(repr=False)
    """How its owner connects, who may create roles. May lead to a pooler."""
    direct_url: str = field(repr=False)
    """The same, without a pooler."""
    passwords: Mapping[str, str] = field(repr=False)
    """By role."""

    def url_of(self, role: str) -> str:
        """How a role connects."""
        return database_roles.role_url(self.url, role, self.passwords[role])

    def direct_url_of(self, role: str) -> str:
        """How a role connects without a pooler."""
        return database_roles.role_url(self.direct_url, role, self.passwords[role])

    def environment(self, service: str) -> dict[str, str]:
        """The connection of a service."""
        prefix = service.upper()
        return {f"{prefix}_DATABASE_URL": self.url_of(service), f"{prefix}_DATABASE_DIRECT_URL": self.direct_url_of(service)}

    def migrate(self) -> None:
        """Creates the roles, and runs the migrations of all services, once in this process. Raises `CalledProcessError`."""
        self.create_roles()
        with _preparation:
            if self.url not in _migrated:
                urls = {"MIGRATOR_DATABASE_URL": self.direct_url_of("migrator")}
                for service in database_roles.SERVICES:
                    urls |= self.environment(service)
                _run(["mesh.migrate", *database_roles.SERVICES], urls)
                _migrated.add(self.url)

    def create_roles(self) -> None:
        """Creates the roles, once in this process. Raises `CalledProcessError`."""
        with _preparation:
            if self.url not in _created:
                urls = {f"{role.upper()}_DATABASE_URL": self.direct_url_of(role) for role in database_roles.ROLES}
                _run(["mesh.roles", *database_roles.SERVICES, "--owners", "mlflow"], urls | {"ADMIN_DATABASE_URL": self.direct_url})
                _created.add(self.url)


def databases_of(settings: Settings, secrets: Mapping[str, str]) -> Databases:
    """The database at POSTGRES_URL, or that of the server that the stack runs."""
    url = settings.postgres_url or postgres.url(settings.postgres_port, secrets["POSTGRES_PASSWORD"])
    passwords = {role: secrets[database_roles.secret(role)] for role in database_roles.ROLES}
    return Databases(url, settings.postgres_direct_url or url, passwords)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    """Runs a module; its output is that of the error if it fails."""
    subprocess.run([sys.executable, "-m", *command], check=True, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
