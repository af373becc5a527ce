"""Two gateways in front of one backend: a Go grpc-gateway as the referee, and ours."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from benchmarks import programs
from benchmarks.servers import serving
from tests.engines.ports import free_port

CODES = {code.value[0]: code for code in grpc.StatusCode}
YEAR_SECONDS = 365 * 24 * 3600
SERVICES = ("auth", "catalog", "recommender", "forecaster", "jobs")


@dataclass(frozen=True)
class Request:
    """What a client sends, byte by byte: `target` is the path and the query as they stand on the request line."""

    http_method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Call(NamedTuple):
    """What the backend was asked: the RPC's full name, its request messages, and the time that was left for it."""

    rpc: str
    requests: list[Message]
    metadata: dict[str, str | bytes]
    seconds_left: float | None


class Outcome(NamedTuple):
    """What became of a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    calls: list[Call]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Backend(grpc.GenericRpcHandler):
    """Every service in one server, which answers every RPC as it is told, or else emptily, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Message] = []
        self.refusal: Status | None = None
        self.delay_seconds = 0.0
        self.calls: list[Call] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        if not handler_call_details.method.startswith("/hashiramart."):
            return None  # A channel may ask after a server's health.
        method = rpc(handler_call_details.method)

        # On the wire a single message is a stream of one, so that one handler serves every kind of RPC.
        def serve(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            request_type = GetMessageClass(method.input_type)
            received: list[Message] = [request_type.FromString(request) for request in requests]
            metadata = dict(context.invocation_metadata())
            left = context.time_remaining()
            # Without a deadline gRPC says three centuries.
            self.calls.append(Call(method.full_name, received, metadata, left if left and left < YEAR_SECONDS else None))
            time.sleep(self.delay_seconds)
            yield from (answer.SerializeToString() for answer in self.answers)
            if self.refusal is not None and self.refusal.details:
                context.abort_with_status(rpc_status.to_status(self.refusal))
            if self.refusal is not None:
                context.abort(CODES[self.refusal.code], self.refusal.message)
            if not (self.answers or method.server_streaming):
                yield b""

        return grpc.stream_stream_rpc_method_handler(serve)


def rpc(path: str) -> MethodDescriptor:
    """The method that a path of gRPC names, such as `/hashiramart.catalog.v1.CatalogService/GetProduct`."""
    return descriptor_pool.Default().FindMethodByName(path[1:].replace("/", "."))


class Gateways:
    """The backend, and what each of the two gateways in front of it makes of a request."""

    def __init__(self, backend: Backend, theirs: str, ours: str) -> None:
        self._backend = backend
        self._theirs, self._ours = theirs, ours
        self._connections: dict[str, HTTPConnection] = {}

    def both(
        self, request: Request, answers: Iterable[Message] = (), refusal: Status | None = None, delay_seconds: float = 0
    ) -> tuple[Outcome, Outcome]:
        """The referee's outcome, then ours, while the backend answers like this."""
        self._backend.answers, self._backend.refusal, self._backend.delay_seconds = list(answers), refusal, delay_seconds
        return self._outcome(self._theirs, request), self._outcome(self._ours, request)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _outcome(self, address: str, request: Request) -> Outcome:
        self._backend.calls = []
        connection = self._connections.setdefault(address, HTTPConnection(address, timeout=20))
        try:
            # Piece by piece, for a client that is polite would mend what is broken on purpose.
            connection.putrequest(request.http_method, request.target, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            if request.body is not None:
                connection.putheader("Content-Length", str(len(request.body)))
            with suppress(BrokenPipeError):  # Who refuses a body may answer before it has all come.
                connection.endheaders(request.body)
            answer = connection.getresponse()
            body = answer.read()
        except (HTTPException, OSError):
            connection.close()
            raise
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Outcome(answer.status, headers, body, self._backend.calls)


@contextmanager
def gateways() -> Iterator[Gateways]:
    """Both gateways, running for the length of a `with` block."""
    backend = Backend()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[backend])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    theirs, ours = (f"127.0.0.1:{free_port()}" for _ in range(2))
    referee = [str(programs.built() / "gateway"), f"-listen={theirs}", f"-backend={address}"]
    settings = {f"GATEWAY_{service.upper()}_ADDRESS": address for service in SERVICES} | {"GATEWAY_LISTEN": ours, "GATEWAY_WORKERS": "1"}
    with serving(referee, theirs), serving([sys.executable, "-m", "gateway"], ours, settings):
        both = Gateways(backend, theirs, ours)
        yield both
        both.close()
    server.stop(grace=None)
