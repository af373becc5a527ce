"""Serves the servicers of a service, with interceptors, health, reflection, TLS and a graceful stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType, TracebackType
from typing import Any, Self

import grpc.aio
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mesh.audit import AuditTrail
from mesh.health import Check, HealthServicer
from mesh.identity import TokenVerifier
from mesh.interceptors.access import with_access
from mesh.interceptors.audit import with_audit
from mesh.interceptors.errors import with_errors
from mesh.interceptors.telemetry import with_telemetry
from mesh.interceptors.validation import with_validation
from mesh.settings import MESSAGE_BYTES, MeshSettings
from mesh.streams import Streams
from mesh.tls import server_context, server_credentials
from mesh.transport import server as transport

_CONNECTION_AGE_SECONDS = 30

_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    # Two servers on one port would share its calls by chance.
    ("grpc.so_reuseport", 0),
    # A client looks for new replicas when a connection ends, so the server ends connections regularly, once their calls have ended.
    # gRPC adds jitter, so that clients that connected together do not reconnect together.
    ("grpc.max_connection_age_ms", _CONNECTION_AGE_SECONDS * 1_000),
    # How often clients may ping to keep an idle connection alive.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]

# By whether requests are streamed, and responses.
_METHOD_HANDLERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}

_log = structlog.get_logger(__name__)


async def serve(server: Server, *tasks: Coroutine[Any, Any, None]) -> None:
    """Serves, with these tasks in the background, until the process gets SIGTERM or SIGINT; then lets the calls under way end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with background(*tasks), server:
        # What was imported lives as long as the process: to look for garbage in it would only make calls wait.
        gc.collect()
        gc.freeze()
        await stop.wait()


@asynccontextmanager
async def background(*tasks: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs tasks beside a block, and cancels them at its end. If one of them fails, the block is cancelled, and the error is raised."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(task) for task in tasks]
        yield
        for task in running:
            task.cancel()


class Server(grpc.aio.Server):
    """A gRPC server whose methods pass the interceptors: telemetry, errors, access and validation.

    Servicers are added by their generated `add_..._to_server`. It serves inside of `async with`. Health and reflection are served
    too, to anybody.
    """

    def __init__(
        self,
        listen: str,
        settings: MeshSettings,
        verifier: TokenVerifier,
        checks: Sequence[Check] = (),
        trail: AuditTrail | None = None,
        engines: Mapping[str, Check] = MappingProxyType({}),
    ) -> None:
        """checks: its services are healthy while all of these pass
        trail: gets an audit event for each call that changes something or is refused
        engines: by name, the check of each engine that its services use, for operators to see
        """
        self._listen = listen
        self._settings = settings
        self._verifier = verifier
        self._trail = trail
        self._streams = Streams()
        self._health = HealthServicer(self._streams, checks, engines)
        self._services: list[str] = []
        self._server = (
            transport.TransportServer(MESSAGE_BYTES, _CONNECTION_AGE_SECONDS)
            if settings.transport == "native"
            else grpc.aio.server(options=_OPTIONS)
        )
        self._health_updates: asyncio.Task[None] | None = None
        self.port = 0
        """The port that it listens on; 0 before it has started."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.stop(self._settings.grace_seconds)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Message, Message]]
    ) -> None:
        """Called by a generated `add_..._to_server`."""
        methods = descriptor_pool.Default().FindServiceByName(service_name).methods_by_name
        wrapped = {name: self._with_interceptors(handler, methods[name]) for name, handler in method_handlers.items()}
        self._server.add_registered_method_handlers(service_name, wrapped)
        self._services.append(service_name)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Called by a generated `add_..._to_server` with the same handlers again; the registered ones are enough."""

    def add_insecure_port(self, address: str) -> int:
        """Listens in plaintext at a further address."""
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Listens with TLS at a further address."""
        return self._server.add_secure_port(address, server_credentials)

    async def start(self) -> None:
        """Listens. Raises `OSError` if it cannot listen at its address."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        await self._health.update(self._services)
        try:
            self.port = self._open_port()
        except (RuntimeError, OSError) as error:
            raise OSError(f"cannot listen on {self._listen}: is it taken?") from error
        await self._server.start()
        self._health_updates = asyncio.create_task(self._health.keep_updated(self._services))
        _log.info("serving", listen=self._listen, port=self.port, services=self._services)

    async def stop(self, grace: float | None) -> None:
        """Reports NOT_SERVING, keeps serving for the drain delay, then waits for the calls under way.

        grace: how long calls under way may take, in seconds, before they are cancelled; None for no time at all
        """
        if self._health_updates:
            self._health_updates.cancel()
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        stopping = asyncio.ensure_future(self._server.stop(grace))
        # The server has to turn new calls away first, or clients would open an ended stream here again.
        await asyncio.sleep(0)
        self._streams.end()
        await stopping
        _log.info("stopped")

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Waits until it has stopped, and returns True; or until `timeout` seconds have passed, and returns False."""
        return await self._server.wait_for_termination(timeout)

    def _open_port(self) -> int:
        if isinstance(self._server, transport.TransportServer):
            context = server_context(self._settings, self._listen)
            return self._server.add_tls_port(self._listen, context) if context else self._server.add_insecure_port(self._listen)
        credentials = server_credentials(self._settings, self._listen)
        return self.add_secure_port(self._listen, credentials) if credentials else self.add_insecure_port(self._listen)

    def _with_interceptors(
        self, method_handler: grpc.RpcMethodHandler[Message, Message], method: MethodDescriptor
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        handler = with_validation(method_handler, method)
        handler = with_access(handler, method, self._verifier)
        if method_handler.response_streaming:
            handler = self._streams.endable(handler)
        if self._trail:
            handler = with_audit(handler, method, self._trail, self._settings.trusted_proxies)
        handler = with_errors(handler, method)
        kind = method_handler.request_streaming, method_handler.response_streaming
        return _METHOD_HANDLERS[kind](with_telemetry(handler, method))
