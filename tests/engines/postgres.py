"""PostgreSQL and PgBouncer."""

import itertools
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from stack.engines import postgres
from tests.engines.engine import Engine
from tests.engines.ports import free_port


class Postgres(Engine):
    """A PostgreSQL server with as many empty databases as one asks for."""

    # Its fast shutdown, which waits for no client.
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe()
        self._numbers = itertools.count(1)
        postgres.initialise(folder / "data", self.password)
        # The data need not outlive a loss of power, so nothing waits for the disk.
        quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        super().__init__(folder, postgres.command(folder / "data", self.port, **quick | settings), lambda: postgres.accepts_connections(self.port))

    def crash(self) -> None:
        """Ends it at once, as if killed; the next start recovers from its journal."""
        self._end(signal.SIGQUIT)

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        command = [postgres.binary("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", postgres.USER, name]
        subprocess.run(command, env={"PGPASSWORD": self.password}, check=True)
        return f"postgresql://{postgres.USER}:{self.password}@127.0.0.1:{self.port}/{name}"


class PgBouncer(Engine):
    """A pooler that keeps nothing of a session between two transactions."""

    # It ends at once by this; by SIGTERM, newer ones wait for their clients.
    stop_signal = signal.SIGQUIT

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
            "pool_mode": "transaction",
            "ignore_startup_parameters": "extra_float_digits",
            # In seconds: how long after PostgreSQL turned it away it tries again.
            "server_login_retry": 1,
        }
        configuration = folder / "pgbouncer.ini"
        lines = ["[databases]", f"* = host=127.0.0.1 port={server.port}", "[pgbouncer]"]
        configuration.write_text("\n".join(lines + [f"{name} = {value}" for name, value in options.items()]))
        command = [*postgres.as_ordinary_user(), "setpriv", "--pdeathsig=INT", "--", program, str(configuration)]
        super().__init__(folder, command, lambda: postgres.accepts_connections(self.port))

    def url(self, postgres_url: str) -> str:
        """The way through the pooler to a database of its server."""
        return postgres_url.replace(f":{self._server.port}/", f":{self.port}/")
