"""Writes exposures to the database in batches, off the path of answers."""

import asyncio
from collections import deque

import structlog
from prometheus_client import Counter

from mesh.errors import Unavailable
from services.recommender.domain import Exposure
from services.recommender.repository.exposures import ExposureRepository

# What a process that is killed loses at most.
_INTERVAL_SECONDS = 0.5
_BATCH = 1000
# So many wait at most while the database cannot be reached: some tens of megabytes.
_MAX_WAITING = 20_000

_LOST = Counter("exposures_lost", "Exposures that were not recorded, since too many waited for the database.")

_log = structlog.get_logger(__name__)


class ExposureLog:
    """Takes exposures, and records them twice a second while `run` runs. While the database is unavailable, they wait."""

    def __init__(self, exposures: ExposureRepository) -> None:
        self._exposures = exposures
        self._waiting: deque[Exposure] = deque()

    def add(self, exposure: Exposure) -> None:
        """Takes an exposure; if too many wait, it is lost."""
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(exposure)
        else:
            _LOST.inc()

    async def run(self) -> None:
        """Records exposures until cancelled, and then what is left."""
        try:
            while True:
                await asyncio.sleep(_INTERVAL_SECONDS)
                await self._record()
        finally:
            await self._record()

    async def _record(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting[index] for index in range(min(_BATCH, len(self._waiting)))]
                await self._exposures.record(batch)
                for _ in batch:
                    self._waiting.popleft()
        except Unavailable as error:
            _log.warning("exposures wait", count=len(self._waiting), error=error.message)
