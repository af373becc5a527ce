"""What is cleared away when its time is over."""

import asyncio
from datetime import timedelta

import structlog

from mesh.errors import Unavailable
from services.recommender.repository import EventRepository

log = structlog.get_logger(__name__)

# What the contract promises to keep of requests; no token lives as long.
KEPT = timedelta(days=1)


async def keep_house(events: EventRepository) -> None:
    """Sweeps every now and then, for as long as it is let."""
    while True:
        try:
            await events.sweep(KEPT)
        except Unavailable:
            log.warning("not swept")
        await asyncio.sleep(_INTERVAL_SECONDS)


_INTERVAL_SECONDS = 600
