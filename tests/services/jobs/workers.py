"""Workers as processes of their own, on the engines of the tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from stack.engines import jars, spark
from stack.settings import Settings
from tests.engines.stores import Store

# Short, so that what a killed worker leaves is soon taken up; a test machine is busy, so that a submission is still let finish.
LEASE_SECONDS = 3
SUBMIT_SECONDS = 60


class Worker:
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
            "submit_seconds": SUBMIT_SECONDS,
            "retry_seconds": 1,
        }
        words = {f"JOBS_{name.upper()}": str(value) for name, value in (own | settings).items()}
        credentials = {"AWS_SHARED_CREDENTIALS_FILE": str(spark.credentials_file(stack))}
        self._environment = os.environ | spark.submit_environment(stack) | credentials | {**environment, **words}

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

    def kill(self) -> None:
        """Ends it at once, as if it had crashed."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=30)
