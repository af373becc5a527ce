"""The local stack by its commands and their output."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from mlflow import MlflowClient

from stack.processes.definitions import processes
from stack.settings import Settings
from tests.engines.ports import own_settings

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("postgres", "auth", "catalog", "recommender", "forecaster", "jobs", "gateway")
ENGINES = ("minio", "namenode", "datanode", "resourcemanager", "nodemanager", "history", "mlflow")
# The processes for ETL jobs, except the store.
ETL = (*SERVICES, *(name for name in ENGINES if name not in ("minio", "mlflow")), "jobs-worker")
UP_SECONDS = 600


@dataclass(frozen=True)
class Stack:
    """The local stack or some of its processes, in a folder and on ports of its own."""

    environment: Mapping[str, str]
    processes: Sequence[str]
    checkout: Path = ROOT
    """The checkout whose code it runs."""

    def run(self, *arguments: str, text: str = "", seconds: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
        """Runs one of its commands, with `text` on its standard input; raises `TimeoutExpired` after so many seconds."""
        command = [sys.executable, "-m", "stack", *arguments]
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            command, check=False, cwd=self.checkout, env=environment, capture_output=True, text=True, input=text, timeout=seconds
        )

    def up(self) -> str:
        """Starts the processes, and returns the output."""
        result = self.run("up", *self.processes)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def down(self) -> None:
        result = self.run("down")
        assert result.returncode == 0, result.stderr

    @property
    def folder(self) -> Path:
        return Path(self.environment["STACK_FOLDER"])

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.environment['GATEWAY_PORT']}"

    @property
    def mlflow_account(self) -> tuple[str, str]:
        """That of the operator."""
        return "operator", str(dotenv_values(self.folder / "secrets.env")["MLFLOW_OPERATOR_PASSWORD"])

    def mlflow_client(self) -> MlflowClient:
        """MLflow's own client, as the operator."""
        os.environ.update(zip(("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"), self.mlflow_account, strict=True))
        return MlflowClient(f"http://127.0.0.1:{self.environment['MLFLOW_PORT']}")

    def states(self) -> dict[str, str]:
        """The state of each of its processes, by name."""
        return {line["name"]: line["state"] for line in self._status() if line["name"] in self.processes}

    def pids(self) -> dict[str, int]:
        """The process ids of running processes, by name."""
        return {line["name"]: int(line["pid"]) for line in self._status() if line["pid"]}

    def wait_restarted(self, name: str, pid: int) -> None:
        """Waits until all processes are ready, and this one no longer has this process id."""
        settings = Settings.model_validate({key: value for key in Settings.model_fields if (value := self.environment.get(key.upper()))})
        # Asked in this process, as each command would take a second of what the processes need to start.
        checks = [process.ready for process in processes(settings) if process.name in self.processes]
        deadline = time.monotonic() + UP_SECONDS
        while not all(ready() for ready in checks) or self.pids().get(name, pid) == pid:
            assert time.monotonic() < deadline, f"{name} is not restarted: {self.states()}"
            time.sleep(0.2)

    def _status(self) -> list[re.Match[str]]:
        return list(
            re.finditer(
                r"^(?P<name>[\w-]+) +(?P<state>ready|not ready|stopped) *(?:(?P<pid>\d+) )?", self.run("status").stdout, re.MULTILINE
            )
        )


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Starts a stack for the length of a `with` block."""
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def own_stack(folder: Path, processes: Sequence[str] = SERVICES) -> Stack:
    """A stack of these processes with a folder and ports of its own."""
    settings = own_settings(folder)
    values = {"stack_folder": folder} | {name: getattr(settings, name) for name in Settings.model_fields if name.endswith("_port")}
    return Stack({name.upper(): str(value) for name, value in values.items()}, processes)
