"""The health of a server's services, by `grpc.health.v1`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version

import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2

from mesh import telemetry
from mesh.errors import Unavailable
from mesh.streams import Streams

# Raises if something that the service needs is not available.
Check = Callable[[], Awaitable[None]]

_Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

_VERSION = version("hashiramart")
_INTERVAL_SECONDS = 0.4
_TIMEOUT_SECONDS = 1

_log = structlog.get_logger(__name__)


class HealthServicer(health.aio.HealthServicer):
    """Serves the health of services, whose watchers do not keep the server from stopping.

    checks: the services are healthy while all of these pass
    """

    def __init__(self, streams: Streams, checks: Sequence[Check]) -> None:
        super().__init__()
        self._streams = streams
        self._checks = checks
        self._healthy: bool | None = None

    async def Check(  # noqa: N802 the contract's name
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        context.set_trailing_metadata(((telemetry.SERVICE_VERSION, _VERSION),))
        return await super().Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:  # noqa: N802 the contract's name
        try:
            await self._streams.run(super().Watch(request, context))
        except Unavailable as stopping:
            await context.abort(stopping.code, stopping.message)

    async def update(self, services: Sequence[str]) -> None:
        """Runs the checks, and sets the health of these services and of the server as a whole if it has changed."""
        healthy = await self._passes_checks()
        if healthy == self._healthy:
            return
        self._healthy = healthy
        status = health_pb2.HealthCheckResponse.SERVING if healthy else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in (*services, health.OVERALL_HEALTH):
            await self.set(service, status)
        _log.info("health", serving=healthy)

    async def keep_updated(self, services: Sequence[str]) -> None:
        """Updates the health of these services at intervals until cancelled."""
        while True:
            await self.update(services)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _passes_checks(self) -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await asyncio.gather(*(check() for check in self._checks))
        except Exception as error:  # noqa: BLE001 whatever a check raises
            _log.debug("check failed", error=repr(error))
            return False
        return True
