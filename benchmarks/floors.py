"""Lower bounds for the cost of a gateway: an HTTP server with a prepared response, and one that makes a gRPC call first.

    python -m benchmarks.floors HOST:PORT BACKEND

`/server/...` responds at once, `/call/...` after the RPC that the gateway would call; both with the bytes that the gateway would send.
"""

import sys
from functools import partial
from typing import Any, TypeAlias

import grpc.aio
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.log import LogLevels

from gateway.writer import encoder
from hashiramart.catalog.v1 import catalog_pb2

RPCS = {
    "one": ("GetProduct", catalog_pb2.GetProductRequest(id="85001A"), catalog_pb2.Product.DESCRIPTOR),
    "fifty": ("ListProducts", catalog_pb2.ListProductsRequest(page_size=50), catalog_pb2.ListProductsResponse.DESCRIPTOR),
}
Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"


class Floors:
    """An ASGI app with the two lower bounds."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._calls: dict[str, tuple[Call, bytes]] = {}
        self._responses: dict[str, bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        _, floor, kind = scope["path"].split("/")
        if floor == "call":
            call, request = self._calls[kind]
            await call(request, timeout=10)
        body = self._responses[kind]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        channel = grpc.aio.insecure_channel(self._backend)
        for kind, (rpc, request, response) in RPCS.items():
            call: Call = channel.unary_unary(f"/hashiramart.catalog.v1.CatalogService/{rpc}")
            self._calls[kind] = call, request.SerializeToString()
            self._responses[kind] = encoder(response)(await call(request.SerializeToString(), wait_for_ready=True))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await channel.close()
        await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    address, backend = sys.argv[1:]
    host, _, port = address.rpartition(":")
    server = Granian(
        "floors",
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.mt,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=partial(Floors, backend), wrap_loader=False)


if __name__ == "__main__":
    main()
