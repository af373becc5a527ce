"""Runs work in the background, at intervals."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import grpc.aio
import structlog
from prometheus_client import Counter

from mesh.errors import Unavailable

_log = structlog.get_logger(__name__)
# How long it takes at most until work that keeps failing is tried again, unless its interval is longer.
_LONGEST_WAIT_SECONDS = 5.0
_FAILURES = Counter("periodic_work_failures", "Runs of work in the background that failed.", ["work"])


async def run_periodically(
    work: Callable[[], Awaitable[object]], interval_seconds: float, wake: asyncio.Event | None = None, *, name: str = ""
) -> None:
    """Runs `work` at once and then at intervals, until cancelled.

    A run that fails is counted and logged, once until one succeeds or fails otherwise, and the next one tries again: what a service does
    beside its calls does not end them. While runs fail, the waits become longer, up to five seconds. The log has the traceback of what is
    no outage of the database or of another service.

    interval_seconds: between the end of one run and the start of the next
    wake: starts the next run at once when it is set, also if that was during a run
    name: of the work, in the log and the metrics; by default that of the function
    """
    wake, name = wake or asyncio.Event(), name or _name(work)
    failure, wait_seconds = "", interval_seconds
    while True:
        wake.clear()
        try:
            await work()
            failure, wait_seconds = "", interval_seconds
        except Exception as error:  # noqa: BLE001 any failure of the work is logged, and ends nothing else
            wait_seconds = max(interval_seconds, min(2 * wait_seconds, _LONGEST_WAIT_SECONDS))
            _FAILURES.labels(name).inc()
            if failure != (failure := _description(error)):
                outage = isinstance(error, Unavailable | grpc.aio.AioRpcError | TimeoutError)
                _log.warning("periodic work failed", work=name, error=failure, exc_info=not outage)
        await _wait(wake, wait_seconds)


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
