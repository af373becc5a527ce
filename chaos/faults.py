"""Faults, one after the other, while the callers call."""

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import psutil

from chaos.clocks import SERVICES
from chaos.journal import Window
from chaos.trial import LEASE_SECONDS, TrialStack

# What reads are answered while the database, of which there is one, is away: at first by the services, then by the gateway, as services
# without their database report that they do not serve.
WITHOUT_DATABASE = frozenset({"DATABASE_UNAVAILABLE", "SERVICE_UNAVAILABLE"})
# Longer than a worker's lease, and shorter than the deadline of a call: a caller of a service waits meanwhile.
PAUSE_SECONDS = {"jobs-worker": 2.5 * LEASE_SECONDS}
SERVICE_PAUSE_SECONDS = 4.0
# Between a fault and the next.
REST_SECONDS = 2.0
# Clocks of two machines may differ by a minute.
STEP_SECONDS = 50
STEPPED_SECONDS = 5.0
DISK = "full disk: skipped, as it takes root, who may mount a small disk for PostgreSQL"

Say = Callable[[str], None]


class Fault(NamedTuple):
    """A fault: it is done, and undone, when `inflict` returns."""

    name: str
    inflict: Callable[[], None]
    awaited: str
    """The process that has to be ready again afterwards."""
    excused: frozenset[str] = frozenset()


class Faults:
    """All faults of a run, in an order that the seed decides."""

    def __init__(self, stack: TrialStack, seed: int, outage_seconds: float, say: Say) -> None:
        self.windows: list[Window] = []
        self.recoveries: dict[str, list[float]] = defaultdict(list)
        """Seconds from kill -9 until the process was ready again."""
        self._stack = stack
        self._outage_seconds = outage_seconds
        self._random = random.Random(seed)  # noqa: S311 no secret
        self._say = say

    def run(self, seconds: float) -> None:
        """Inflicts faults for this time. Each comes once before one comes again."""
        for skipped in self._skipped():
            self._say(skipped)
        deadline = time.monotonic() + seconds
        for fault in self._in_turns():
            if time.monotonic() > deadline:
                return
            began = time.monotonic()
            fault.inflict()
            undone = time.monotonic()
            self._stack.wait_ready(fault.awaited)
            ended = time.monotonic()
            if fault.name.startswith("kill"):
                self.recoveries[fault.awaited].append(ended - began)
            self.windows.append(Window(fault.name, began, ended, fault.excused))
            self._say(f"{fault.name}: ready {ended - undone:.1f} s after it was over")
            time.sleep(REST_SECONDS)

    def _in_turns(self) -> Iterator[Fault]:
        faults = self._all()
        while True:
            self._random.shuffle(faults)
            yield from faults

    def _all(self) -> list[Fault]:
        names = list(self._stack.processes)
        kills = [Fault(f"kill -9 {name}", partial(self._kill, name), name, _excused(name)) for name in names]
        own = [name for name in names if name.startswith(("auth", "catalog", "recommender", "forecaster", "jobs"))]
        pauses = [Fault(f"SIGSTOP {name}", partial(self._pause, name), name) for name in own]
        away = [
            Fault(f"{name} away for {self._outage_seconds:.0f} s", partial(self._take_away, name), name, _excused(name))
            for name in ("postgres", self._stack.settings.object_store)
        ]
        disks = [Fault("full disk of postgres", self._fill_disk, "postgres", WITHOUT_DATABASE)] if self._stack.own_disk else []
        return [*kills, *pauses, *away, *disks, *self._steps()]

    def _steps(self) -> list[Fault]:
        controlled = [name for name in self._stack.processes if name.startswith(SERVICES)]
        return [Fault(f"clock of {name} set", partial(self._step, name), name) for name in controlled]

    def _skipped(self) -> list[str]:
        return [] if self._stack.own_disk else [DISK]

    def _kill(self, name: str) -> None:
        process = psutil.Process(self._stack.supervisor.pids()[name])
        # A gateway's worker ends after its parent, and answers meanwhile, so that the new gateway would seem to be ready.
        workers = process.children() if name.startswith("gateway") else []
        process.kill()
        for each in (process, *workers):
            _wait_gone(each)

    def _pause(self, name: str) -> None:
        pid = self._stack.supervisor.pids()[name]
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(PAUSE_SECONDS.get(name.removesuffix("-2"), SERVICE_PAUSE_SECONDS))
        finally:
            os.kill(pid, signal.SIGCONT)

    def _take_away(self, name: str) -> None:
        self._stack.supervisor.stop(name)
        try:
            time.sleep(self._outage_seconds)
        finally:
            self._stack.supervisor.start(name)

    def _step(self, name: str) -> None:
        """Sets the clock forward, then back, then right."""
        for seconds in (STEP_SECONDS, -STEP_SECONDS):
            with self._stack.clocks.moved(name, seconds):
                time.sleep(STEPPED_SECONDS)

    def _fill_disk(self) -> None:
        file = self._stack.postgres_folder / "filler"
        try:
            with file.open("wb", buffering=0) as filler, suppress(OSError):
                while True:
                    filler.write(bytes(1_000_000))
            time.sleep(self._outage_seconds)
        finally:
            file.unlink(missing_ok=True)


def _wait_gone(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)


def _excused(name: str) -> frozenset[str]:
    return WITHOUT_DATABASE if name == "postgres" else frozenset()
