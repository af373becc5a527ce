"""A channel to a service: calls to its healthy replicas in turn, retries, and the names of its methods."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import grpc.aio
from grpc_health.v1 import health_pb2

from mesh.transport.addresses import parse_target
from mesh.transport.client_call import ClientCall, Details, Kind
from mesh.transport.limits import Limits
from mesh.transport.replicas import Replicas
from mesh.transport.retries import CallRetries, Throttle, retry_policies

# Changes what a call is made with, before it is made: its metadata, its deadline. The second argument says whether it has streams.
Preparation = Callable[[Details, bool], Awaitable[Details]]


@dataclass(frozen=True)
class ChannelOptions:
    """How a channel connects and calls.

    Its connections are TLS's if it has a context.
    """

    max_message_bytes: int = 4 * 1024 * 1024
    """Of a message, sent or received."""
    service_config: Mapping[str, Any] = field(default_factory=dict)
    """gRPC's: `healthCheckConfig`, `methodConfig` with `retryPolicy`, and `retryThrottling` are read."""
    tls: ssl.SSLContext | None = None
    prepare: Preparation | None = None
    stream_idle_seconds: float | None = None
    """For how long a response stream that is iterated over may be silent."""
    limits: Limits = field(default_factory=Limits)


class Channel(grpc.aio.Channel):
    """Calls the replicas behind a target, as `grpc.aio.Channel` does."""

    def __init__(self, target: str, options: ChannelOptions) -> None:
        """Raises `ValueError` for a target that is not in gRPC's notation."""
        self.max_message_bytes = options.max_message_bytes
        self.stream_idle_seconds = options.stream_idle_seconds
        config = options.service_config
        throttling = config.get("retryThrottling", {})
        self.throttle = Throttle(throttling.get("maxTokens", 0), throttling.get("tokenRatio", 0))
        self._retries = retry_policies(config)
        self._prepare = options.prepare
        parsed = parse_target(target)
        self.request_fields = (
            (b":method", b"POST"),
            (b":scheme", b"https" if options.tls else b"http"),
            (b":authority", parsed.authority.encode()),
        )
        service = config.get("healthCheckConfig", {}).get("serviceName")
        self._replicas = Replicas(parsed, options.tls, options.limits, None if service is None else self._health_call(service))
        self._calls: set[ClientCall] = set()
        self._preparations: set[asyncio.Task[None]] = set()
        self._waiting: list[ClientCall] = []
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def unary_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any) -> Any:
        return self._callable(method, Kind(False, False, request_serializer, response_deserializer))

    def unary_stream(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any) -> Any:
        return self._callable(method, Kind(False, True, request_serializer, response_deserializer))

    def stream_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any) -> Any:
        return self._callable(method, Kind(True, False, request_serializer, response_deserializer))

    def stream_stream(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any) -> Any:
        return self._callable(method, Kind(True, True, request_serializer, response_deserializer))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        if self._closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        if try_to_connect:
            self._replicas.start(self._on_change)
        return self._replicas.state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        while self.get_state() is last_observed_state:
            await self._replicas.wait_for_change()

    async def channel_ready(self) -> None:
        while (state := self.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)

    async def close(self, grace: float | None = None) -> None:
        """Waits for the calls under way up to `grace` seconds, and cancels what is left."""
        self._closed = True
        if self._calls and grace:
            ends = [asyncio.ensure_future(call.code()) for call in self._calls]
            _, late = await asyncio.wait(ends, timeout=grace)
            for end in late:
                end.cancel()
        for call in tuple(self._calls):
            call.cancel()
        for preparation in self._preparations:
            preparation.cancel()
        await self._replicas.close()

    # What calls ask for.

    def retry_policy(self, method: str) -> CallRetries | None:
        return self._retries.get(method)

    def dispatch(self, call: ClientCall) -> None:
        """Sends a call over the next connection, as soon as there is one."""
        self._replicas.start(self._on_change)
        if call.done():
            return
        while connection := self._replicas.pick():
            try:
                call.send(connection)
            except ConnectionError:
                continue
            return
        if self._replicas.has_failed and not call.wait_for_ready:
            # Not at once: a caller that tries again and again would keep the event loop from everything else, reconnecting among it.
            call.loop.call_soon(call.fail, self._replicas.problem)
        else:
            self._waiting.append(call)

    def forget(self, call: ClientCall) -> None:
        self._calls.discard(call)

    def _callable(self, method: str, kind: Kind) -> Callable[..., ClientCall]:
        def begin(
            request: Any = None, *, timeout: float | None = None, metadata: Any = None, wait_for_ready: bool = False, **_: Any
        ) -> ClientCall:
            if self._closed:
                raise grpc.aio.UsageError("the channel is closed")
            details = Details(method, timeout, tuple(metadata or ()))
            call = ClientCall(self, kind, details, request, wait_for_ready)
            self._calls.add(call)
            if self._prepare is None:
                call.start(details)
            else:
                preparation = call.loop.create_task(self._prepare_call(call, details, any(kind[:2]), self._prepare))
                self._preparations.add(preparation)
                preparation.add_done_callback(self._preparations.discard)
            return call

        return begin

    async def _prepare_call(self, call: ClientCall, details: Details, has_streams: bool, prepare: Preparation) -> None:
        try:
            call.start(await prepare(details, has_streams))
        except Exception as error:  # noqa: BLE001 whatever it raises is the caller's
            call.fail_with(error)

    def _on_change(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self.dispatch(call)

    def _health_call(self, service: str) -> Callable[..., ClientCall]:
        """Begins to watch the health of a service, on one connection."""
        kind = Kind(False, True, health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString)
        details = Details("/grpc.health.v1.Health/Watch", None, ())
        return lambda: ClientCall(self, kind, details, health_pb2.HealthCheckRequest(service=service), wait_for_ready=False)
