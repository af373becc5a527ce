"""The health of the services, for staff."""

import asyncio
from collections.abc import Mapping

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from pydantic import BaseModel

from gateway.contract import Contract
from gateway.errors import GatewayError, error_status
from mesh.telemetry import SERVICE_VERSION

CURRENT_USER_RPC = "/hashiramart.auth.v1.AuthService/GetCurrentUser"
STAFF = ("ROLE_STAFF", "ROLE_ADMIN")
HEALTH_RPC = "/grpc.health.v1.Health/Check"
TIMEOUT_SECONDS = 1.0


class ServiceStatus(BaseModel):
    """One service of the mesh."""

    name: str
    up: bool
    version: str
    """Empty while it is not up."""


class MeshStatus(BaseModel):
    """The gateway's version, and the services that it calls."""

    version: str
    services: list[ServiceStatus]


class Services:
    """The services of the contracts, each behind its channel."""

    def __init__(self, contract: Contract, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._channels = channels
        self._current_user = contract.method(CURRENT_USER_RPC)

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
        processes = {service.split(".")[1]: channel for service, channel in sorted(self._channels.items())}
        return MeshStatus(version=version, services=await asyncio.gather(*(_status(*process) for process in processes.items())))


async def _status(name: str, channel: grpc.aio.Channel) -> ServiceStatus:
    check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(HEALTH_RPC)
    # Without the name of a service: the health of the server as a whole.
    call = check(HealthCheckRequest().SerializeToString(), timeout=TIMEOUT_SECONDS)
    try:
        health = HealthCheckResponse.FromString(await call)
    except grpc.aio.AioRpcError:
        return ServiceStatus(name=name, up=False, version="")
    metadata = dict(await call.trailing_metadata())
    return ServiceStatus(name=name, up=health.status == HealthCheckResponse.SERVING, version=str(metadata.get(SERVICE_VERSION, "")))
