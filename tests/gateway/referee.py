"""Two gateways in front of one backend: a Go grpc-gateway as the referee, and ours."""

import json
import pkgutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from typing import Any, NamedTuple

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

import hashiramart
from benchmarks import programs
from benchmarks.servers import serving
from tests.engines.ports import free_port
from tests.gateway.access_tokens import unsigned_token

CODES = {code.value[0]: code for code in grpc.StatusCode}
YEAR_SECONDS = 365 * 24 * 3600
SERVICES = ("auth", "catalog", "recommender", "forecaster", "jobs")
# A method is found by its name once its contract is imported.
for module in pkgutil.walk_packages(hashiramart.__path__, "hashiramart."):
    if module.name.endswith("_pb2"):
        import_module(module.name)


@dataclass(frozen=True)
class Request:
    """What a client sends, byte by byte: `target` is the path and the query of the request line."""

    http_method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def under(self, prefix: str) -> "Request":
        """The same request with a prefix before its path."""
        return replace(self, target=f"{prefix}{self.target}")


class Call(NamedTuple):
    """A call that the backend received: the RPC's full name, its request messages, its metadata, and the time until its deadline."""

    rpc: str
    requests: list[Message]
    metadata: dict[str, str | bytes]
    seconds_left: float | None


class Outcome(NamedTuple):
    """The response to a request, and the calls it caused."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    calls: list[Call]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Backend(grpc.GenericRpcHandler):
    """Every service in one server. It sends the responses that are set, or an empty one, and records the calls."""

    def __init__(self) -> None:
        self.responses: list[Message] = []
        self.error: Status | None = None
        self.delay_seconds = 0.0
        self.calls: list[Call] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        if not handler_call_details.method.startswith("/hashiramart."):
            return None  # A channel may check the server's health.
        method = rpc(handler_call_details.method)

        # On the wire a message is a stream of one, so that one handler serves every kind of RPC.
        def serve(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            request_type = GetMessageClass(method.input_type)
            received: list[Message] = [request_type.FromString(request) for request in requests]
            metadata = dict(context.invocation_metadata())
            left = context.time_remaining()
            # Without a deadline gRPC returns three centuries.
            self.calls.append(Call(method.full_name, received, metadata, left if left and left < YEAR_SECONDS else None))
            time.sleep(self.delay_seconds)
            yield from (response.SerializeToString() for response in self.responses)
            if self.error is not None and self.error.details:
                context.abort_with_status(rpc_status.to_status(self.error))
            if self.error is not None:
                context.abort(CODES[self.error.code], self.error.message)
            if not (self.responses or method.server_streaming):
                yield b""

        return grpc.stream_stream_rpc_method_handler(serve)


def rpc(path: str) -> MethodDescriptor:
    """The method of a gRPC path such as `/hashiramart.catalog.v1.CatalogService/GetProduct`."""
    return descriptor_pool.Default().FindMethodByName(path[1:].replace("/", "."))


class Gateways:
    """Both gateways in front of the backend."""

    def __init__(self, backend: Backend, theirs: str, ours: str) -> None:
        self._backend = backend
        self._theirs, self._ours = theirs, ours
        self._connections: dict[str, HTTPConnection] = {}

    def both(
        self, request: Request, responses: Iterable[Message] = (), error: Status | None = None, delay_seconds: float = 0
    ) -> tuple[Outcome, Outcome]:
        """The referee's outcome, then ours, while the backend responds like this."""
        self._backend.responses, self._backend.error, self._backend.delay_seconds = list(responses), error, delay_seconds
        return self._outcome(self._theirs, request), self._outcome(self._ours, request)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _outcome(self, address: str, request: Request) -> Outcome:
        self._backend.calls = []
        connection = self._connections.setdefault(address, HTTPConnection(address, timeout=20))
        try:
            # Line by line, since a client library would correct what is invalid on purpose.
            connection.putrequest(request.http_method, request.target, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            if request.body is not None and "Authorization" not in request.headers:
                # Ours does not read a body without one.
                connection.putheader("Authorization", unsigned_token())
            if request.body is not None:
                connection.putheader("Content-Length", str(len(request.body)))
            with suppress(BrokenPipeError):  # A body that is too large may be answered before it has arrived.
                connection.endheaders(request.body)
            response = connection.getresponse()
            body = response.read()
        except (HTTPException, OSError):
            connection.close()
            raise
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Outcome(response.status, headers, body, self._backend.calls)


@contextmanager
def gateways() -> Iterator[Gateways]:
    """Both gateways, running for the length of a `with` block."""
    backend = Backend()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[backend])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    theirs, ours = (f"127.0.0.1:{free_port()}" for _ in range(2))
    referee = [str(programs.build() / "gateway"), f"-listen={theirs}", f"-backend={address}"]
    settings = {f"GATEWAY_{service.upper()}_ADDRESS": address for service in SERVICES} | {"GATEWAY_LISTEN": ours, "GATEWAY_WORKERS": "1"}
    # One subject makes all calls, as fast as it can.
    settings["GATEWAY_REQUESTS_PER_SUBJECT"] = "0"
    with serving(referee, theirs), serving([sys.executable, "-m", "gateway"], ours, settings):
        both = Gateways(backend, theirs, ours)
        yield both
        both.close()
    server.stop(grace=None)
