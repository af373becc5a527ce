"""PostgreSQL and PgBouncer for tests, with the roles that a managed PostgreSQL has."""

import asyncio
import itertools
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from mesh.roles import Login, create_roles
from stack import database_roles
from stack.engines import postgres
from tests.engines.engine import Engine
from tests.engines.ports import free_port

# Owns the databases and creates roles, as the administrator of a managed PostgreSQL, and is no superuser.
MANAGER = "manager"


class Postgres(Engine):
    """A PostgreSQL server, in which tests create empty databases."""

    # Fast shutdown, which does not wait for clients.
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe()
        self._numbers = itertools.count(1)
        postgres.initialise(folder / "data", self.password)
        create_manager = f"CREATE ROLE {MANAGER} LOGIN CREATEROLE PASSWORD '{self.password}'"
        single_user = [*postgres.as_ordinary_user(), postgres.binary("postgres"), "--single", "-D", str(folder / "data"), "postgres"]
        subprocess.run(single_user, input=create_manager, check=True, capture_output=True, text=True, cwd="/")
        # The data need not survive a power failure, so nothing waits for the disk.
        quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        super().__init__(
            folder, postgres.command(folder / "data", self.port, **quick | settings), lambda: postgres.accepts_connections(self.port)
        )

    def crash(self) -> None:
        """Immediate shutdown, as in a crash; the next start recovers from the write-ahead log."""
        self._end(signal.SIGQUIT)

    def create_database(self) -> str:
        """The URL of a new, empty database, as its owner connects to it."""
        name = f"test_{next(self._numbers)}"
        command = [postgres.binary("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", postgres.USER, "-O", MANAGER, name]
        subprocess.run(command, env={"PGPASSWORD": self.password}, check=True)
        return f"postgresql://{MANAGER}:{self.password}@127.0.0.1:{self.port}/{name}"


class PgBouncer(Engine):
    """A pooler in transaction mode, which keeps no session state between transactions."""

    # It keeps nothing, and which signal ends it without waiting for its clients depends on its version.
    stop_signal = signal.SIGKILL

    def __init__(self, folder: Path, server: Postgres) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise FileNotFoundError("PgBouncer is not installed; `make test` does it")
        self.port = free_port()
        self._server = server
        users = folder / "users"
        users.write_text(f'"{postgres.USER}" "{server.password}"\n')
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,
            # Finds the passwords of all other roles in PostgreSQL.
            "auth_user": postgres.USER,
            "pool_mode": "transaction",
            "ignore_startup_parameters": "extra_float_digits",
            # Seconds until it retries after a failed login to PostgreSQL.
            "server_login_retry": 1,
        }
        configuration = folder / "pgbouncer.ini"
        lines = ["[databases]", f"* = host=127.0.0.1 port={server.port}", "[pgbouncer]"]
        configuration.write_text("\n".join(lines + [f"{name} = {value}" for name, value in options.items()]))
        command = [*postgres.as_ordinary_user(), "setpriv", "--pdeathsig=INT", "--", program, str(configuration)]
        super().__init__(folder, command, lambda: postgres.accepts_connections(self.port))

    def url(self, postgres_url: str) -> str:
        """The URL of a database of the server through the pooler."""
        return postgres_url.replace(f":{self._server.port}/", f":{self.port}/")


def create_service_roles(owner_url: str) -> dict[str, str]:
    """The URL of each role of the stack in a database, by role, once `mesh.roles` has created it."""
    urls = {role: database_roles.role_url(owner_url, role, secrets.token_urlsafe()) for role in database_roles.ROLES}
    services = {service: Login.of(urls[service]) for service in database_roles.SERVICES}
    asyncio.run(create_roles(owner_url, Login.of(urls["migrator"]), services, {"mlflow": Login.of(urls["mlflow"])}))
    return urls
