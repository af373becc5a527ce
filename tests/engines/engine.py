"""A program that a test starts and stops."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

# A JVM on a machine that is busy with other tests takes its time.
START_SECONDS = 300
STOP_SECONDS = 60


class Engine:
    """A program that is started and stopped, and keeps its log in its folder."""

    stop_signal = signal.SIGTERM
    """What the program takes as the order to end cleanly, however many clients are connected."""

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
                self.kill()
                raise RuntimeError(f"{self._command} did not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it and its connections; returns when it is gone. One that does not end in time is killed, and named."""
        try:
            self._end(self.stop_signal)
        except subprocess.TimeoutExpired:
            print(f"{type(self).__name__} did not end on {self.stop_signal.name} and is killed: {self._command}", file=sys.__stderr__)
            self.kill()

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
            self._process.wait(timeout=STOP_SECONDS)
            self._process = None
