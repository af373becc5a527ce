"""Writes exposures to the database in batches, off the path of answers."""

from prometheus_client import Counter

from mesh.write_queue import WriteQueue
from services.recommender.domain import Exposure
from services.recommender.repository.exposures import ExposureRepository

# What a process that is killed loses at most.
_INTERVAL_SECONDS = 0.5
_BATCH = 1000
# So many wait at most while they cannot be recorded: some tens of megabytes.
_MAX_WAITING = 20_000

_LOST = Counter("exposures_lost", "Exposures that were not recorded, since too many waited for the database.")

ExposureLog = WriteQueue[Exposure]


def exposure_log(exposures: ExposureRepository) -> ExposureLog:
    """Takes exposures, and records them twice a second while it runs."""
    return ExposureLog(exposures.record, lambda _: _LOST.inc(), interval_seconds=_INTERVAL_SECONDS, batch=_BATCH, limit=_MAX_WAITING)
