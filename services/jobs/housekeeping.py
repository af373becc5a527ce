"""What is cleared away when its time is over."""

import asyncio
from datetime import timedelta

import structlog

from mesh.errors import Unavailable
from services.jobs.repository import JobRepository

log = structlog.get_logger(__name__)

# What the contract promises to keep.
REQUESTS_KEPT = timedelta(days=1)


async def keep_house(jobs: JobRepository) -> None:
    """Sweeps every now and then, for as long as it is let."""
    while True:
        try:
            await jobs.sweep(REQUESTS_KEPT)
        except Unavailable:
            log.warning("not swept")
        await asyncio.sleep(_INTERVAL_SECONDS)


_INTERVAL_SECONDS = 600
