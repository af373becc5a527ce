"""The health of the services and engines, and how requests fare, for staff."""

import asyncio
from collections.abc import Mapping

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from pydantic import BaseModel

from gateway.contract import Contract
from gateway.errors import GatewayError, error_status
from gateway.metrics import RequestTotals, no_requests, request_totals
from mesh.telemetry import ENGINE_HEALTH, SERVICE_VERSION

CURRENT_USER_RPC = "/hashiramart.auth.v1.AuthService/GetCurrentUser"
STAFF = ("ROLE_STAFF", "ROLE_ADMIN")
HEALTH_RPC, LIST_RPC = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List"
TIMEOUT_SECONDS = 1.0


class ServiceStatus(BaseModel):
    """One service of the mesh."""

    name: str
    up: bool
    version: str
    """Empty while it is not up."""
    requests: RequestTotals
    """Those that went through the gateway; streams are left out, since they last as long as somebody watches."""


class EngineStatus(BaseModel):
    """One of the engines below the services, such as PostgreSQL or HDFS, as they see it."""

    name: str
    up: bool
    """Whether all services that use it, and are up, reach it."""
    used_by: list[str]
    """The services that use it, and are up."""
    not_reached_by: list[str]
    """Those of them that do not reach it."""


class MeshStatus(BaseModel):
    """The gateway's version, the services that it calls, and the engines that those use."""

    version: str
    services: list[ServiceStatus]
    engines: list[EngineStatus]


class Services:
    """The services of the contracts, each behind its channel."""

    def __init__(self, contract: Contract, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._channels = channels
        self._current_user = contract.method(CURRENT_USER_RPC)
        unary = (binding for binding in contract.bindings if not binding.method.server_streaming)
        self._rules = {binding.rule: _process(binding.method.service.full_name) for binding in unary}

    async def require_staff(self, authorization: str) -> None:
        """Asks auth who the caller is. Raises GatewayError for anybody but staff, and AioRpcError if auth fails."""
        method = self._current_user
        rpc: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channels[method.service.full_name].unary_unary(method.full_name)
        metadata = (("authorization", authorization),) if authorization else ()
        user = GetMessageClass(method.descriptor.output_type).FromString(await rpc(b"", timeout=TIMEOUT_SECONDS, metadata=metadata))
        role = user.DESCRIPTOR.fields_by_name["role"]
        names = {value.number: value.name for value in role.enum_type.values} if role.enum_type else {}
        if names.get(getattr(user, role.name)) not in STAFF:
            raise GatewayError(error_status(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", "only staff may see this"))

    async def status(self, version: str) -> MeshStatus:
        """The status of all processes. One serves all gRPC services of its package."""
        processes = {_process(service): channel for service, channel in sorted(self._channels.items())}
        # A thread reads the files of all workers.
        requests = await asyncio.to_thread(request_totals, self._rules)
        statuses = asyncio.gather(*(_status(name, channel, requests.get(name, no_requests())) for name, channel in processes.items()))
        listed = asyncio.gather(*(_reached_engines(channel) for channel in processes.values()))
        services, engines = await statuses, dict(zip(processes, await listed, strict=True))
        return MeshStatus(version=version, services=services, engines=_engine_statuses(engines))


def _process(service: str) -> str:
    """The process of a service: the name of its package."""
    return service.split(".")[1]


async def _status(name: str, channel: grpc.aio.Channel, requests: RequestTotals) -> ServiceStatus:
    check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(HEALTH_RPC)
    # Without the name of a service: the health of the server as a whole.
    call = check(HealthCheckRequest().SerializeToString(), timeout=TIMEOUT_SECONDS)
    try:
        health = HealthCheckResponse.FromString(await call)
    except grpc.aio.AioRpcError:
        return ServiceStatus(name=name, up=False, version="", requests=requests)
    metadata = dict(await call.trailing_metadata())
    up, version = health.status == HealthCheckResponse.SERVING, str(metadata.get(SERVICE_VERSION, ""))
    return ServiceStatus(name=name, up=up, version=version, requests=requests)


async def _reached_engines(channel: grpc.aio.Channel) -> dict[str, bool]:
    """Whether a process reaches each engine that it uses; nothing while it is not up."""
    listing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(LIST_RPC)
    try:
        content = await listing(b"", timeout=TIMEOUT_SECONDS)
    except grpc.aio.AioRpcError:
        return {}
    answer = health_pb2.HealthListResponse.FromString(content)  # type: ignore[attr-defined]  # missing in the library's types
    engines = {name.removeprefix(ENGINE_HEALTH): health for name, health in answer.statuses.items() if name.startswith(ENGINE_HEALTH)}
    return {name: health.status == HealthCheckResponse.SERVING for name, health in engines.items()}


def _engine_statuses(reached: Mapping[str, Mapping[str, bool]]) -> list[EngineStatus]:
    """reached: by service, whether it reaches each engine that it uses"""
    statuses = []
    for name in sorted({engine for engines in reached.values() for engine in engines}):
        used_by = [service for service, engines in reached.items() if name in engines]
        missed = [service for service in used_by if not reached[service][name]]
        statuses.append(EngineStatus(name=name, up=not missed, used_by=used_by, not_reached_by=missed))
    return statuses
