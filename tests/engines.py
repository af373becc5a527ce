"""The engines that tests run on: real ones, on free ports, in folders of their own."""

import itertools
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from stack.engines import postgres, seaweedfs
from stack.settings import Settings

# A JVM on a machine that is busy with other tests takes its time.
START_SECONDS = 120


class Engine:
    """A program that is started and stopped, and keeps its log in its folder."""

    def __init__(
        self, folder: Path, command: list[str], ready: Callable[[], bool], environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._log = folder / "log"
        self._command = command
        self._environment = environment
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env={**os.environ, **self._environment}, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command} did not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it and its connections; returns when it is gone."""
        self._end(signal.SIGINT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It is away for the length of a `with` block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def kill(self) -> None:
        """Ends it at once, as if it had crashed."""
        self._end(signal.SIGKILL)

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(timeout=30)
            self._process = None


class Postgres(Engine):
    """A PostgreSQL server with as many empty databases as one asks for."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe()
        self._numbers = itertools.count(1)
        postgres.initialise(folder / "data", self.password)
        # The data need not outlive a loss of power, so nothing waits for the disk.
        quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        super().__init__(folder, postgres.command(folder / "data", self.port, **quick | settings), lambda: postgres.accepts(self.port))

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
        super().__init__(folder, command, lambda: postgres.accepts(self.port))

    def url(self, postgres_url: str) -> str:
        """The way through the pooler to a database of its server."""
        return postgres_url.replace(f":{self._server.port}/", f":{self.port}/")


def own_settings(folder: Path) -> Settings:
    """The settings of a stack that meets no other: a folder and ports of its own."""
    names = [name for name in Settings.model_fields if name.endswith("_port")]
    ports = free_ports(len(names) + seaweedfs.PORTS)
    chosen = dict(zip(names, ports, strict=False)) | {"seaweedfs_port": ports[-seaweedfs.PORTS]}
    return Settings.model_validate({"stack_folder": folder, **chosen})


def free_ports(count: int) -> range:
    """Ports of the loopback, side by side, that nothing listened on a moment ago."""
    while True:
        # Below those that the kernel gives to whoever asks for any.
        start = random.randrange(10_240, 32_000)  # noqa: S311 (no secret)
        ports = range(start, start + count)
        if all(map(is_free, ports)):
            return ports


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port of the loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
