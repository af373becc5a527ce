"""Clears away what time has made worthless."""

import asyncio

import structlog

from mesh.errors import Unavailable
from services.auth.keys import SigningKeys
from services.auth.repository import AttemptRepository, SignInRepository

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 60


async def keep_house(keys: SigningKeys, sign_ins: SignInRepository, attempts: AttemptRepository) -> None:
    """Runs as long as the process does."""
    while True:
        try:
            await keys.settle()
            await sign_ins.sweep()
            await attempts.sweep()
        except Unavailable:
            log.info("housekeeping put off")
        await asyncio.sleep(_PAUSE_SECONDS)
