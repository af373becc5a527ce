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

# Generous, as JVMs start slowly on a machine that runs other tests at the same time.
START_SECONDS = 300
STOP_SECONDS = 60


class Engine:
    """A program that is started and stopped, with a log in its folder."""

    stop_signal = signal.SIGTERM
    """The signal on which the program ends cleanly without waiting for its clients."""

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
        """Starts it, and returns when it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env={**os.environ, **self._environment}, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command} did not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it and its connections; returns when it has ended. One that does not end in time is killed, with a message."""
        try:
            self._end(self.stop_signal)
        except subprocess.TimeoutExpired:
            print(f"{type(self).__name__} did not end on {self.stop_signal.name} and is killed: {self._command}", file=sys.__stderr__)
            self.kill()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stops it for the length of a `with` block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def kill(self) -> None:
        """Kills it, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(timeout=STOP_SECONDS)
            self._process = None
