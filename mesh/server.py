"""Serves servicers: interceptors, health, reflection, TLS, a graceful stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc.aio
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mesh import telemetry
from mesh.errors import Unavailable
from mesh.identity import TokenVerifier
from mesh.interceptors.access import with_access
from mesh.interceptors.errors import with_errors
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata
from mesh.interceptors.telemetry import with_telemetry
from mesh.interceptors.validation import with_validation
from mesh.settings import MESSAGE_BYTES, MeshSettings
from mesh.tls import server_credentials

log = structlog.get_logger(__name__)

T = TypeVar("T")
HealthContext = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

# Raises if something that the service needs is not to be had.
Check = Callable[[], Awaitable[None]]


async def serve(server: Server, *tasks: Coroutine[Any, Any, None]) -> None:
    """Serves, with these tasks in the background, until the process gets SIGTERM or SIGINT; then lets the calls under way end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with background(*tasks), server:
        # What was imported lives as long as the process: looking for garbage in it would only make calls wait.
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
    """A gRPC server whose methods pass telemetry, errors, identity and access, and validation.

    Servicers are added by their generated `add_..._to_server`, and it serves inside of `async with`. Health and reflection are
    served too, to anybody. Its services are healthy as long as all of `checks` pass.
    """

    def __init__(self, listen: str, settings: MeshSettings, verifier: TokenVerifier, checks: Sequence[Check] = ()) -> None:
        self._listen = listen
        self._settings = settings
        self._verifier = verifier
        self._checks = checks
        self._streams = _Streams()
        self._health = _Health(self._streams)
        self._services: list[str] = []
        self._server = grpc.aio.server(options=_OPTIONS)
        self._watching: asyncio.Task[None] | None = None
        # The port that it listens on, once it has started.
        self.port = 0

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
        wrapped = {name: self._through_interceptors(handler, methods[name]) for name, handler in method_handlers.items()}
        self._server.add_registered_method_handlers(service_name, wrapped)
        self._services.append(service_name)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Called by a generated `add_..._to_server` with the same handlers once more; those above are all that is needed."""

    def add_insecure_port(self, address: str) -> int:
        """Listens in plain text at a further address."""
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Listens with TLS at a further address."""
        return self._server.add_secure_port(address, server_credentials)

    async def start(self) -> None:
        """Listens. Raises `OSError` if the address cannot be had."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        await self._health.tell(self._services, await self._is_healthy())
        credentials = server_credentials(self._settings, self._listen)
        try:
            if credentials is None:
                self.port = self.add_insecure_port(self._listen)
            else:
                self.port = self.add_secure_port(self._listen, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen}: is it taken?") from error
        await self._server.start()
        self._watching = asyncio.create_task(self._watch())
        log.info("serving", listen=self._listen, port=self.port, services=self._services)

    async def stop(self, grace: float | None) -> None:
        """Tells clients to go elsewhere, serves them until they do, and ends when the calls under way have ended or `grace` is over."""
        if self._watching:
            self._watching.cancel()
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        stopping = asyncio.ensure_future(self._server.stop(grace))
        # The server turns new calls away first, or an ended stream would come back.
        await asyncio.sleep(0)
        self._streams.end()
        await stopping
        log.info("stopped")

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Returns when it has stopped, or with False when `timeout` is over before."""
        return await self._server.wait_for_termination(timeout)

    def _through_interceptors(
        self, method_handler: grpc.RpcMethodHandler[Message, Message], method: MethodDescriptor
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        handler = with_validation(method_handler, method)
        handler = with_access(handler, method, self._verifier)
        if method_handler.response_streaming:
            handler = self._streams.ending(handler)
        handler = with_errors(handler, method)
        return _KINDS[method_handler.request_streaming, method_handler.response_streaming](with_telemetry(handler, method))

    async def _watch(self) -> None:
        healthy: bool | None = None
        while True:
            before, healthy = healthy, await self._is_healthy()
            if healthy != before:
                await self._health.tell(self._services, healthy)
                log.info("health", serving=healthy)
            await asyncio.sleep(_CHECK_INTERVAL_SECONDS)

    async def _is_healthy(self) -> bool:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await asyncio.gather(*(check() for check in self._checks))
        except Exception as error:  # noqa: BLE001 whatever a check raises
            log.debug("check failed", error=repr(error))
            return False
        return True


_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    # Two servers on one port would share its calls by chance.
    ("grpc.so_reuseport", 0),
    # A client looks for replicas when a connection ends, so one ends now and then, when its calls have; clients that came together do
    # not leave together.
    ("grpc.max_connection_age_ms", 30_000),
    # What clients may do to keep a quiet connection alive.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]

_KINDS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}

_VERSION = version("hashiramart")

_CHECK_INTERVAL_SECONDS = 0.4
_CHECK_SECONDS = 1


class _Streams:
    """The streams of answers being served: they have no end of their own, so a server that stops ends them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended = False

    def ending(self, handler: Handler) -> Handler:
        """A handler that is ended with the rest, and then tells its client to come again."""

        async def ended(body: Body, context: Context, metadata: Metadata) -> Answer:
            return await self.run(handler(body, context, metadata))

        return ended

    async def run(self, stream: Awaitable[T]) -> T:
        """Runs to its end, or raises `Unavailable` when the streams are ended."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream runs in a task")
        self._tasks.add(task)
        try:
            return await stream
        except asyncio.CancelledError:
            if not self._ended:
                raise
            task.uncancel()
            raise Unavailable("SERVICE_UNAVAILABLE", "the service is stopping") from None
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """Ends them all."""
        self._ended = True
        for task in self._tasks:
            task.cancel()


class _Health(health.aio.HealthServicer):
    """Health as `grpc.health.v1` has it, whose watchers do not keep a server from stopping."""

    def __init__(self, streams: _Streams) -> None:
        super().__init__()
        self._streams = streams

    async def tell(self, services: Iterable[str], healthy: bool) -> None:
        """Sets what is said of these services and of the server as a whole."""
        status = health_pb2.HealthCheckResponse.SERVING if healthy else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in (*services, health.OVERALL_HEALTH):
            await self.set(service, status)

    async def Check(  # noqa: N802 the contract's name
        self, request: health_pb2.HealthCheckRequest, context: HealthContext
    ) -> health_pb2.HealthCheckResponse:
        context.set_trailing_metadata(((telemetry.SERVICE_VERSION, _VERSION),))
        return await super().Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: HealthContext) -> None:  # noqa: N802 the contract's name
        try:
            await self._streams.run(super().Watch(request, context))
        except Unavailable as stopping:
            await context.abort(stopping.code, stopping.message)
