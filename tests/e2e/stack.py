"""The local stack, as a user has it before them: its commands, and what they print."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.settings import Settings
from tests.engines.ports import own_settings

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("postgres", "auth", "catalog", "recommender", "forecaster", "jobs", "gateway")
ENGINES = ("minio", "namenode", "datanode", "resourcemanager", "nodemanager", "history", "mlflow")
# What cleaning sales takes, but for the store.
ETL = (*SERVICES, *(name for name in ENGINES if name not in ("minio", "mlflow")), "jobs-worker")
UP_SECONDS = 600


@dataclass(frozen=True)
class Stack:
    """The local stack, or some of its processes, in a folder and on ports of its own."""

    environment: Mapping[str, str]
    processes: Sequence[str]
    # Whose code it runs.
    checkout: Path = ROOT

    def run(self, *arguments: str, text: str = "", seconds: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
        """Runs one of its commands to its end, whatever that is, with `text` on its standard input. It may take so many seconds."""
        command = [sys.executable, "-m", "stack", *arguments]
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            command, check=False, cwd=self.checkout, env=environment, capture_output=True, text=True, input=text, timeout=seconds
        )

    def up(self) -> str:
        """What it printed."""
        answer = self.run("up", *self.processes)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def down(self) -> None:
        answer = self.run("down")
        assert answer.returncode == 0, answer.stderr

    @property
    def folder(self) -> Path:
        return Path(self.environment["STACK_FOLDER"])

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.environment['GATEWAY_PORT']}"

    def states(self) -> dict[str, str]:
        """How each of its processes is, by its name."""
        return {line["name"]: line["state"] for line in self._status() if line["name"] in self.processes}

    def pids(self) -> dict[str, int]:
        """Of the processes that live."""
        return {line["name"]: int(line["pid"]) for line in self._status() if line["pid"]}

    def wait_ready(self) -> None:
        deadline = time.monotonic() + UP_SECONDS
        while set(self.states().values()) != {"ready"}:
            assert time.monotonic() < deadline, self.run("status").stdout
            time.sleep(0.5)

    def _status(self) -> list[re.Match[str]]:
        return list(
            re.finditer(
                r"^(?P<name>[\w-]+) +(?P<state>ready|not ready|stopped) *(?:(?P<pid>\d+) )?", self.run("status").stdout, re.MULTILINE
            )
        )


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """The stack, up for the length of a `with` block."""
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def own_stack(folder: Path, processes: Sequence[str] = SERVICES) -> Stack:
    """A stack of these processes that meets no other."""
    settings = own_settings(folder)
    chosen = {"stack_folder": folder} | {name: getattr(settings, name) for name in Settings.model_fields if name.endswith("_port")}
    return Stack({name.upper(): str(value) for name, value in chosen.items()}, processes)
