"""The engines that tests run on: real ones, on free ports, in folders of their own."""

import itertools
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compose.local import postgres


class Postgres:
    """A PostgreSQL server with as many empty databases as one asks for."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self._password = secrets.token_urlsafe()
        self._numbers = itertools.count(1)
        self._log = folder.with_suffix(".log")
        # The data need not outlive the machine's power, so nothing waits for the disk.
        self._command = postgres.command(folder, self.port, fsync="off", synchronous_commit="off", full_page_writes="off", **settings)
        self._process: subprocess.Popen[bytes] | None = None
        postgres.initialise(folder, self._password)

    def start(self) -> None:
        """Returns when it can be connected to."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_ready(self._process, lambda: postgres.accepts(self.port), self._log)

    def stop(self) -> None:
        """Ends its connections, writes everything down and returns when it is gone."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Ends at once, as if killed; the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The server is away for the length of a `with` block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        command = [postgres.binary("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", postgres.USER, name]
        subprocess.run(command, env={"PGPASSWORD": self._password}, check=True)
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://{postgres.USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(timeout=30)
            self._process = None


def free_port() -> int:
    """A port of the loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    """Returns when it is ready; fails with the process's log when it ends before, or takes too long."""
    deadline = time.monotonic() + 30
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()}")
        time.sleep(0.05)
