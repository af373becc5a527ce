"""Runs work in the background, at intervals."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import grpc.aio
import structlog
from prometheus_client import Counter

from mesh.errors import Unavailable

_log = structlog.get_logger(__name__)
_FAILURES = Counter("periodic_work_failures", "Runs of work in the background that failed.", ["work"])


async def run_periodically(work: Callable[[], Awaitable[object]], interval_seconds: float, wake: asyncio.Event | None = None) -> None:
    """Runs `work` at once and then at intervals, until cancelled.

    A run that fails is counted and logged, once until one succeeds or fails otherwise, and the next one tries again: what a service does
    beside its calls does not end them. The log has the traceback of what is no outage of the database or of another service.

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
        except Exception as error:  # noqa: BLE001 any failure of the work is logged, and ends nothing else
            _FAILURES.labels(_name(work)).inc()
            if failure != (failure := _description(error)):
                outage = isinstance(error, Unavailable | grpc.aio.AioRpcError)
                _log.warning("periodic work failed", work=_name(work), error=failure, exc_info=not outage)
        await _wait(wake, interval_seconds)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _name(work: Callable[[], Awaitable[object]]) -> str:
    return (work.func if isinstance(work, partial) else work).__qualname__


def _description(error: Exception) -> str:
    if isinstance(error, Unavailable):
        return error.message
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else repr(error)
