"""PostgreSQL and PgBouncer for tests."""

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
    """A PostgreSQL server, in which tests create empty databases."""

    # Fast shutdown, which does not wait for clients.
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe()
        self._numbers = itertools.count(1)
        postgres.initialise(folder / "data", self.password)
        # The data need not survive a power failure, so nothing waits for the disk.
        quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        super().__init__(
            folder, postgres.command(folder / "data", self.port, **quick | settings), lambda: postgres.accepts_connections(self.port)
        )

    def crash(self) -> None:
        """Immediate shutdown, as in a crash; the next start recovers from the write-ahead log."""
        self._end(signal.SIGQUIT)

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        command = [postgres.binary("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", postgres.USER, name]
        subprocess.run(command, env={"PGPASSWORD": self.password}, check=True)
        return f"postgresql://{postgres.USER}:{self.password}@127.0.0.1:{self.port}/{name}"


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
