"""How `make test` distributes modules among the workers of pytest-xdist."""

import os
import time

import psutil
import pytest
from xdist.scheduler import LoadFileScheduling

# Modules or folders that one worker runs, as they share engines that are slow to start. They come before all other modules, and the longest
# before the shorter ones, so that the workers end at about the same time.
UNITS = (
    ("e2e/test_stack.py",),
    ("services/jobs/test_workers.py", "services/jobs/test_events.py", "services/jobs/test_raw_data.py", "stack/test_hadoop.py"),
    ("e2e/test_demo.py",),
    ("services/jobs/test_training.py", "services/recommender/test_swaps.py", "services/test_models.py", "ml/pipeline/", "ml/registry/"),
    ("spark/",),
    ("e2e/test_etl.py",),
    ("console/",),
    ("clients/python/test_shop.py",),
    ("e2e/",),
)
# What a worker needs that runs a whole stack and a job on it.
WORKER_BYTES = 6 * 2**30


class IdleWorkers:
    """Prints for how long each worker had nothing to do at the end of a run: much of it for one means that `UNITS` is out of order."""

    def __init__(self) -> None:
        self._last_reports: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._last_reports[report.node.gateway.id] = time.monotonic()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        end = time.monotonic()
        idle = ", ".join(f"{worker} {end - last:.0f} s" for worker, last in sorted(self._last_reports.items()))
        terminalreporter.write_line(f"idle at the end: {idle}")


class UnitScheduling(LoadFileScheduling):
    """Gives the modules of a unit, or else a module, to one worker."""

    # The method is where subclasses say what stays together, though its name does not show it.
    def _split_scope(self, nodeid: str) -> str:
        module = super()._split_scope(nodeid)
        unit = unit_number(module)
        # The last unit is a place in the order: its modules share nothing.
        return module if unit >= len(UNITS) - 1 else str(unit)


def unit_number(path: str) -> int:
    """The number of the first unit to which a module or a test belongs."""
    module = path.removeprefix("tests/")
    return next((number for number, unit in enumerate(UNITS) if module.startswith(unit)), len(UNITS))


def worker_count(engines: bool) -> int:
    """One worker for each core, and a further one if memory suffices: tests wait for engines a third of their time.

    engines: whether there are such tests; without them, a further worker would only import everything once more
    """
    cores = os.cpu_count() or 1
    return cores + (engines and psutil.virtual_memory().total >= (cores + 1) * WORKER_BYTES)
