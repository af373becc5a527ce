"""Runs workers as processes, on the engines of the tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe
from types import MappingProxyType, TracebackType
from typing import Self

import psutil

from stack.engines import jars, spark
from stack.settings import Settings
from tests.engines.stores import Store

# Short, so that a killed worker's job is soon taken over.
LEASE_SECONDS = 3
TICK_SECONDS = 0.3
# Long, so that a submission on a busy machine is not killed.
SUBMIT_SECONDS = 180


class WorkerProcess:
    """A worker that runs for the length of a `with` block, unless it is killed before."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        stack: Settings,
        store: Store,
        environment: Mapping[str, str] = MappingProxyType({}),
        **settings: object,
    ) -> None:
        self._log = folder / "worker.log"
        own = {
            "database_url": database_url,
            "yarn_url": f"http://127.0.0.1:{stack.resourcemanager_port}",
            "webhdfs_url": f"http://127.0.0.1:{stack.namenode_port}",
            "spark_home": spark.package(),
            "hadoop_jars": jars.DAEMONS,
            "spark_properties": spark.submit_configuration(stack),
            "store_url": store.store.endpoint,
            "lease_seconds": LEASE_SECONDS,
            "tick_seconds": TICK_SECONDS,
            "submit_seconds": SUBMIT_SECONDS,
            "retry_seconds": 1,
            "signing_key": token_urlsafe(32),
        }
        variables = {f"JOBS_{name.upper()}": str(value) for name, value in (own | settings).items()}
        credentials = {"AWS_SHARED_CREDENTIALS_FILE": str(spark.credentials_file(stack))}
        self._environment = os.environ | spark.submit_environment(stack) | credentials | {**environment, **variables}

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-m", "services.jobs.worker"], env=self._environment, stdout=log, stderr=log)
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def is_submitting(self) -> bool:
        """Whether a `spark-submit` of it runs."""
        return any("spark-submit" in word for child in psutil.Process(self._process.pid).children() for word in _command(child))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops it for the length of a `with` block, as a machine does that swaps or is suspended; what it has started goes on."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kills it, as if it had crashed."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=30)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
