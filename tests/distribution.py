"""How `make test` distributes modules among the workers of pytest-xdist."""

import os

import psutil
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


def worker_count() -> int:
    """One worker for each core, and a further one if memory suffices: tests wait for engines a third of their time."""
    cores = os.cpu_count() or 1
    return cores + (psutil.virtual_memory().total >= (cores + 1) * WORKER_BYTES)
