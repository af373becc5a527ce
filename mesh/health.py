"""The health of a server's services, and of the engines that they use, by `grpc.health.v1`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version

import grpc.aio
import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2

from mesh import telemetry
from mesh.errors import Unavailable
from mesh.periodic import run_periodically
from mesh.streams import Streams

# Raises if something that the service needs is not available.
Check = Callable[[], Awaitable[object]]

_Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

_VERSION = version("hashiramart")
_INTERVAL_SECONDS = 0.4
# Under load a check takes seconds, and calls are still answered.
_TIMEOUT_SECONDS = 5
_ENGINE_INTERVAL_SECONDS = 5
_ENGINE_TIMEOUT_SECONDS = 10

_log = structlog.get_logger(__name__)


class HealthServicer(health.aio.HealthServicer):
    """Serves the health of services, whose watchers do not keep the server from stopping.

    checks: the services are healthy while all of these pass
    engines: by name, the check of each engine that the services use. Its health is listed as `engine/<name>`; the services may well do
        without it for a while
    """

    def __init__(self, streams: Streams, checks: Sequence[Check], engines: Mapping[str, Check]) -> None:
        super().__init__()
        self._streams = streams
        self._checks = checks
        self._engines = engines
        self._healthy: bool | None = None
        self._listed: dict[str, health_pb2.HealthCheckResponse] = {}

    async def Check(  # noqa: N802 the contract's name
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        context.set_trailing_metadata(((telemetry.SERVICE_VERSION, _VERSION),))
        return await super().Check(request, context)

    async def List(self, request: Message, context: grpc.aio.ServicerContext[Message, Message]) -> Message:  # noqa: N802 the contract's name
        answer: Message = health_pb2.HealthListResponse(statuses=self._listed)  # type: ignore[attr-defined]  # missing in the library's types
        return answer

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:  # noqa: N802 the contract's name
        try:
            await self._streams.run(super().Watch(request, context))
        except Unavailable as stopping:
            await context.abort(stopping.code, stopping.message)

    async def update(self, services: Sequence[str]) -> None:
        """Runs the checks, and sets the health of these services and of the server as a whole if it has changed."""
        healthy = await _pass(self._checks, _TIMEOUT_SECONDS)
        if healthy == self._healthy:
            return
        self._healthy = healthy
        for service in (*services, health.OVERALL_HEALTH):
            await self._list(service, healthy)
        _log.info("health", serving=healthy)

    async def keep_updated(self, services: Sequence[str]) -> None:
        """Updates the health of these services and of the engines at intervals until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(run_periodically(partial(self.update, services), _INTERVAL_SECONDS))
            for name in self._engines:
                group.create_task(run_periodically(partial(self._update_engine, name), _ENGINE_INTERVAL_SECONDS))

    async def _update_engine(self, name: str) -> None:
        await self._list(f"{telemetry.ENGINE_HEALTH}{name}", await _pass([self._engines[name]], _ENGINE_TIMEOUT_SECONDS))

    async def _list(self, name: str, healthy: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if healthy else health_pb2.HealthCheckResponse.NOT_SERVING
        self._listed[name] = health_pb2.HealthCheckResponse(status=status)
        await self.set(name, status)


async def _pass(checks: Sequence[Check], timeout_seconds: float) -> bool:
    """Whether all checks pass in time."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await asyncio.gather(*(check() for check in checks))
    except Exception as error:  # noqa: BLE001 whatever a check raises
        _log.debug("check failed", error=repr(error))
        return False
    return True
