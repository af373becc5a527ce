"""What is cleared away when its time is over."""

import asyncio
from datetime import timedelta

import structlog

from mesh.errors import Unavailable
from services.catalog.repository import ChangeRepository

log = structlog.get_logger(__name__)

# What the contract promises to keep.
REQUESTS_KEPT = timedelta(days=1)
CHANGES_KEPT = timedelta(days=7)


async def keep_house(changes: ChangeRepository) -> None:
    """Sweeps every now and then, for as long as it is let."""
    while True:
        try:
            await changes.sweep(REQUESTS_KEPT, CHANGES_KEPT)
        except Unavailable:
            log.warning("not swept")
        await asyncio.sleep(_INTERVAL_SECONDS)


_INTERVAL_SECONDS = 600
