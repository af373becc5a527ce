"""HDFS and YARN for tests."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from stack.engines import hadoop, hadoop_user, jars, spark
from stack.engines.object_store import ObjectStore
from stack.settings import Settings
from tests.engines.engine import Engine
from tests.engines.ports import own_settings

APPLICATION_SECONDS = 300


class Hdfs:
    """An HDFS with one DataNode."""

    def __init__(self, folder: Path) -> None:
        if not jars.DAEMONS.exists():
            raise FileNotFoundError("Hadoop is not installed; `make test` does it")
        self.settings = own_settings(folder)
        hadoop_user.create(self.settings)
        hadoop.prepare_namenode(self.settings)
        hadoop.prepare(self.settings, "datanode")
        self.namenode = _daemon(self.settings, "namenode", hadoop.namenode_ready)
        self.datanode = _daemon(self.settings, "datanode", hadoop.datanode_ready)
        self._files = httpx.Client(base_url=f"http://127.0.0.1:{self.settings.namenode_port}/webhdfs/v1", follow_redirects=True, timeout=60)

    def __enter__(self) -> Self:
        with ExitStack() as running:
            running.enter_context(self.namenode)
            running.enter_context(self.datanode)
            self._stop = running.pop_all().close
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._files.close()
        self._stop()

    @contextmanager
    def namenode_stopped(self) -> Iterator[None]:
        """Stops the NameNode for the length of a `with` block, after which files can be read and written again."""
        with self.namenode.stopped():
            yield
        # Until the DataNode has reported its blocks, the NameNode is in safe mode.
        wait(partial(hadoop.datanode_ready, self.settings), "HDFS to leave its safe mode")

    def put(self, path: str, content: bytes) -> None:
        self._files.put(path, params={"op": "CREATE", "overwrite": "true"}, content=content).raise_for_status()

    def get(self, path: str) -> bytes:
        answer = self._files.get(path, params={"op": "OPEN"})
        assert answer.is_success, answer.text
        return answer.content

    def files(self, path: str) -> list[str]:
        """The paths of the files in a folder and its subfolders."""
        listed = self._files.get(path, params={"op": "LISTSTATUS"}).raise_for_status().json()["FileStatuses"]["FileStatus"]
        paths = [(f"{path}/{entry['pathSuffix']}", entry["type"]) for entry in listed]
        return [file for name, kind in paths for file in ([name] if kind == "FILE" else self.files(name))]


class Yarn:
    """A YARN with one node, whose applications use `hdfs` and an S3 store."""

    def __init__(self, hdfs: Hdfs, store: ObjectStore) -> None:
        self.settings = hdfs.settings
        for daemon in ("resourcemanager", "nodemanager"):
            hadoop.prepare(self.settings, daemon)
        self.resourcemanager = _daemon(self.settings, "resourcemanager", hadoop.resourcemanager_ready)
        self.nodemanager = _daemon(self.settings, "nodemanager", hadoop.nodemanager_ready)
        hadoop.make_folder(self.settings, spark.EVENT_LOG)
        spark.configure(self.settings, store)

    def __enter__(self) -> Self:
        with ExitStack() as running:
            running.enter_context(self.resourcemanager)
            running.enter_context(self.nodemanager)
            running.callback(hadoop.kill_applications, self.settings)
            self._stop = running.pop_all().close
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._stop()

    def submit(self, *words: str) -> str:
        """Submits a Spark application and returns its id."""
        environment = os.environ | spark.submit_environment(self.settings)
        command = [*spark.submit_command(self.settings), *words]
        process = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=APPLICATION_SECONDS)
        submitted = re.search(r"Submitted application (application_\w+)", process.stderr)
        assert submitted is not None, process.stderr
        return submitted[1]

    def application(self, identity: str) -> dict[str, Any]:
        """The application as YARN reports it; empty while YARN does not answer."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.settings.resourcemanager_port}/ws/v1/cluster/apps/{identity}")
            found: dict[str, Any] = answer.raise_for_status().json()["app"]
        except httpx.HTTPError:
            return {}
        return found

    def outcome(self, identity: str) -> str:
        """The final status of an application, once it has ended."""
        wait(lambda: self.application(identity).get("finalStatus", "UNDEFINED") != "UNDEFINED", f"{identity} to end")
        return str(self.application(identity)["finalStatus"])


def _daemon(settings: Settings, name: str, ready: Callable[[Settings], bool]) -> Engine:
    folder = settings.stack_folder / name
    folder.mkdir()
    return Engine(folder, hadoop.command(settings, name), partial(ready, settings), hadoop.daemon_environment(settings))


def wait(condition: Callable[[], bool], what: str) -> None:
    """Waits until a condition holds, and fails with the name of what it waited for after five minutes."""
    deadline = time.monotonic() + APPLICATION_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.2)
