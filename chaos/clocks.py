"""The clocks of a stack's own processes, which libfaketime lets a run set, each by a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stack import install
from stack.processes.process import Process
from stack.processes.supervisor import Program

PACKAGE = "libfaketime"
# Below /usr, in Debian and elsewhere.
PLACES = ("lib*/*/faketime/libfaketimeMT.so.1", "lib*/faketime/libfaketimeMT.so.1")
# The files are read again after this time.
READ_SECONDS = 1
SERVICES = ("auth", "catalog", "recommender", "forecaster", "jobs", "gateway")


class Clocks:
    """The clocks of the services, the gateways and the workers. What they start has theirs. Waits go by another, which nobody sets."""

    def __init__(self, folder: Path) -> None:
        self._library = _find_library()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def control(self, process: Process) -> Process:
        """The process, with a clock that can be set if it is one of the stack's own."""
        if not process.name.startswith(SERVICES):
            return process
        self._write(process.name, 0)
        return replace(process, program=self._preload(process.program))

    @contextmanager
    def moved(self, name: str, seconds: float) -> Iterator[None]:
        """Sets the clock of a process forward, or back, and right again in the end."""
        self._write(name, seconds)
        try:
            yield
        finally:
            self._write(name, 0)

    def _preload(self, program: Program) -> Program:
        own = {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / program.name),
            "FAKETIME_CACHE_DURATION": str(READ_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return replace(program, environment={**program.environment, **own})

    def _write(self, name: str, seconds: float) -> None:
        new = self._folder / f"{name}.new"
        new.write_text(f"{seconds:+.0f}\n")
        new.replace(self._folder / name)


def _find_library() -> Path:
    """The path of libfaketime, which is installed if it is not there."""
    if _found() is None:
        install.install_packages(PACKAGE)
    library = _found()
    if library is None:
        raise FileNotFoundError(f"{PACKAGE} is installed, and none of {', '.join(PLACES)} is there below /usr")
    return library


def _found() -> Path | None:
    return next((path for place in PLACES for path in Path("/usr").glob(place)), None)
