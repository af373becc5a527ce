"""Runs work in the background, at intervals."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import grpc.aio
import structlog

from mesh.errors import Unavailable

_log = structlog.get_logger(__name__)

# What passes by itself. Anything else is a bug, and rises.
_OUTAGES = (Unavailable, grpc.aio.AioRpcError)


async def run_periodically(work: Callable[[], Awaitable[object]], interval_seconds: float, wake: asyncio.Event | None = None) -> None:
    """Runs `work` at once and then at intervals, until cancelled.

    A run that fails because the database or another service is unavailable is logged, once until one succeeds or fails otherwise,
    and the next one tries again.

    interval_seconds: between the end of one run and the start of the next
    wake: starts the next run at once when it is set, also if that was during a run
    """
    wake = wake or asyncio.Event()
    failure = ""
    while True:
        wake.clear()
        try:
            await work()
            failure = ""
        except _OUTAGES as error:
            if failure != (failure := _description(error)):
                _log.warning("periodic work failed", work=_name(work), error=failure)
        await _wait(wake, interval_seconds)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _name(work: Callable[[], Awaitable[object]]) -> str:
    return (work.func if isinstance(work, partial) else work).__qualname__


def _description(error: Unavailable | grpc.aio.AioRpcError) -> str:
    return error.message if isinstance(error, Unavailable) else f"{error.code().name}: {error.details()}"
