"""Connects to services, with deadlines, retries, load balancing, keepalive and TLS."""

import asyncio
import json
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from mesh import telemetry
from mesh.settings import MESSAGE_BYTES, MeshSettings
from mesh.tls import channel_credentials, client_context
from mesh.transport.channel import Channel, ChannelOptions, Preparation
from mesh.transport.client_call import Details

# Returns the metadata that proves who makes a call: `identity.caller_proof`, `identity.certificate_proof` or `ServiceToken(...).proof`.
Proof = Callable[[], Awaitable[Sequence[tuple[str, str]]]]

Request = TypeVar("Request")
Response = TypeVar("Response")
Requests = AsyncIterable[Request] | Iterable[Request]

_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "0.5s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A channel reconnects within a second to a replica that has come back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
]


def connect(target: str, service: ServiceDescriptor, settings: MeshSettings, proof: Proof | None = None) -> grpc.aio.Channel:
    """A channel to a service, for its generated stub.

    A unary call has the default deadline, or that of the call being served if it is earlier. A response stream ends with
    DEADLINE_EXCEEDED when it is silent for too long. Calls carry the request id and the trace of the call being served, and the
    metadata that `proof` returns.
    """
    calls = _Calls(settings, proof)
    if settings.transport == "native":
        return _native_channel(target, service, settings, calls.prepare, settings.stream_idle_seconds)
    return open_channel(target, service, settings, (_UnaryUnary(calls), _UnaryStream(calls), _StreamUnary(calls), _StreamStream(calls)))


def open_channel(
    target: str, service: ServiceDescriptor, settings: MeshSettings, interceptors: Iterable[grpc.aio.ClientInterceptor] = ()
) -> grpc.aio.Channel:
    """A channel with load balancing, retries, keepalive and TLS, which adds no metadata and no deadline to its calls."""
    if settings.transport == "native":
        return _native_channel(target, service, settings)
    if not target.startswith(("dns:", "ipv4:", "ipv6:", "unix:")):
        target = f"dns:///{target}"
    options = [*_OPTIONS, ("grpc.service_config", json.dumps(service_config(service)))]
    credentials = channel_credentials(settings, target)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options, interceptors=[*interceptors])
    return grpc.aio.secure_channel(target, credentials, options, interceptors=[*interceptors])


def service_config(service: ServiceDescriptor) -> dict[str, object]:
    """The gRPC service config: calls go to the healthy replicas in turn, and idempotent methods are retried."""
    names = [{"service": service.full_name, "method": method.name} for method in service.methods if _is_idempotent(method)]
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": service.full_name},
        "methodConfig": [{"name": names, "retryPolicy": _RETRY_POLICY}] if names else [],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    }


def _native_channel(
    target: str,
    service: ServiceDescriptor,
    settings: MeshSettings,
    prepare: Preparation | None = None,
    stream_idle_seconds: float | None = None,
) -> grpc.aio.Channel:
    options = ChannelOptions(MESSAGE_BYTES, service_config(service), client_context(settings, target), prepare, stream_idle_seconds)
    return Channel(target, options)


def _is_idempotent(method: MethodDescriptor) -> bool:
    return method.GetOptions().idempotency_level in (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)


class _Calls:
    """The deadlines and metadata of the calls of one channel."""

    def __init__(self, settings: MeshSettings, proof: Proof | None) -> None:
        self._deadline_seconds = settings.deadline_seconds
        self._stream_idle_seconds = settings.stream_idle_seconds
        self._proof = proof

    async def prepare(self, details: Details, has_streams: bool) -> Details:
        """The details of a call over the native transport."""
        begun = grpc.aio.ClientCallDetails(details.method, details.timeout, grpc.aio.Metadata(*details.metadata), None, None)
        ready = await (self.stream_details(begun) if has_streams else self.unary_details(begun))
        return Details(ready.method, ready.timeout, tuple(ready.metadata or ()))

    async def unary_details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        """The details of a call with one request and one response."""
        timeout = self._deadline_seconds if details.timeout is None else details.timeout
        origin = telemetry.origin()
        if origin and origin.deadline is not None:
            timeout = min(timeout, max(origin.deadline - time.monotonic(), 0))
        return await self._with_metadata(details, timeout)

    async def stream_details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        """The details of a call with a stream, which has no deadline unless its caller sets one."""
        return await self._with_metadata(details, details.timeout)

    async def until_idle(self, call: grpc.aio.Call, responses: AsyncIterator[Response]) -> AsyncIterator[Response]:
        """The responses of a call, which ends with DEADLINE_EXCEEDED when none has come for too long."""
        try:
            while True:
                async with asyncio.timeout(self._stream_idle_seconds):
                    response = await anext(responses)
                yield response
        except StopAsyncIteration:
            return
        except TimeoutError:
            message = f"the stream was silent for {self._stream_idle_seconds:g} seconds"
            raise grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata(), message) from None
        finally:
            call.cancel()

    async def _with_metadata(self, details: grpc.aio.ClientCallDetails, timeout: float | None) -> grpc.aio.ClientCallDetails:
        origin = telemetry.origin() or telemetry.origin_of({}, None)
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        given = {*metadata.keys()}
        added = ((telemetry.REQUEST_ID, origin.request_id), (telemetry.TRACEPARENT, origin.traceparent))
        for key, value in (*added, *(await self._proof() if self._proof else ())):
            if key not in given:
                metadata.add(key, value)
        return grpc.aio.ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready)


# gRPC distinguishes the four kinds of interceptor by their classes, and accepts one class as one kind only.


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, calls: _Calls) -> None:
        self._calls = calls

    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Request], Awaitable[grpc.aio.UnaryUnaryCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Request,
    ) -> grpc.aio.UnaryUnaryCall[Request, Response]:
        return await continuation(await self._calls.unary_details(client_call_details), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, calls: _Calls) -> None:
        self._calls = calls

    async def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Request], Awaitable[grpc.aio.UnaryStreamCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Request,
    ) -> AsyncIterator[Response]:
        call = await continuation(await self._calls.stream_details(client_call_details), request)
        return self._calls.until_idle(call, aiter(call))


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, calls: _Calls) -> None:
        self._calls = calls

    async def intercept_stream_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Requests[Request]], Awaitable[grpc.aio.StreamUnaryCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Requests[Request],
    ) -> grpc.aio.StreamUnaryCall[Request, Response]:
        return await continuation(await self._calls.stream_details(client_call_details), request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, calls: _Calls) -> None:
        self._calls = calls

    async def intercept_stream_stream(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Requests[Request]], Awaitable[grpc.aio.StreamStreamCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Requests[Request],
    ) -> AsyncIterator[Response]:
        call = await continuation(await self._calls.stream_details(client_call_details), request_iterator)
        return self._calls.until_idle(call, aiter(call))
