"""What a call between two processes costs over each transport: `python -m benchmarks.transport [ROUNDS]`.

A client and a server of the catalogue's contract, each a process of its own, with prepared responses. Both transports take turns, so
that disturbances of the machine affect both, and CPU time is counted, which waits for nobody.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import grpc.aio
import uvloop

from benchmarks.servers import cpu_seconds
from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.channel import open_channel
from mesh.settings import MESSAGE_BYTES, MeshSettings
from mesh.transport.server import TransportServer

TRANSPORTS = ("grpcio", "native")
CONCURRENCY = 16
CALLS = 2_000
PRODUCT = catalog_pb2.Product(id="85123A", name="White hanging heart T-light holder", price_cents=255, category="Decoration", stock=40)
PAGE = catalog_pb2.ListProductsResponse(products=[PRODUCT] * 50, next_page_token="next")  # noqa: S106 no secret


class Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    """Has one product."""

    async def GetProduct(self, request: catalog_pb2.GetProductRequest, context: object) -> catalog_pb2.Product:  # noqa: N802
        return PRODUCT

    async def ListProducts(  # noqa: N802
        self, request: catalog_pb2.ListProductsRequest, context: object
    ) -> catalog_pb2.ListProductsResponse:
        return PAGE


async def serve(transport: str) -> None:
    server: grpc.aio.Server = TransportServer(MESSAGE_BYTES, 3_600) if transport == "native" else grpc.aio.server()
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(Catalog(), server)  # type: ignore[abstract]  # it serves what is measured
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.Event().wait()


def main(rounds: int) -> None:
    servers = {
        name: subprocess.Popen([sys.executable, "-m", "benchmarks.transport", "serve", name], stdout=subprocess.PIPE, text=True)
        for name in TRANSPORTS
    }
    try:
        uvloop.run(_compare(servers, rounds))
    finally:
        for server in servers.values():
            server.kill()
            server.communicate()


async def _compare(servers: "dict[str, subprocess.Popen[str]]", rounds: int) -> None:
    channels = {name: _channel(name, server) for name, server in servers.items()}
    for kind in ("one product", "50 products"):
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in TRANSPORTS}
        for number in range(rounds + 1):
            for name in TRANSPORTS if number % 2 else reversed(TRANSPORTS):
                cost = await _cost(_call(kind, channels[name]), servers[name].pid)
                # The first round warms up.
                costs[name] += [cost] if number else []
        _show(kind, costs)
    for channel in channels.values():
        await channel.close()


def _channel(transport: str, server: "subprocess.Popen[str]") -> grpc.aio.Channel:
    port = server.stdout.readline().strip() if server.stdout else ""
    service = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]
    return open_channel(f"127.0.0.1:{port}", service, MeshSettings(transport="native" if transport == "native" else "grpcio"))


def _call(kind: str, channel: grpc.aio.Channel) -> Callable[[], Awaitable[object]]:
    stub = catalog_pb2_grpc.CatalogServiceStub(channel)
    one, many = catalog_pb2.GetProductRequest(id="85123A"), catalog_pb2.ListProductsRequest(page_size=50)
    return (lambda: stub.GetProduct(one, timeout=60)) if kind == "one product" else (lambda: stub.ListProducts(many, timeout=60))


async def _cost(call: Callable[[], Awaitable[object]], server: int) -> tuple[float, float]:
    """The CPU time of a call in the client and in the server, in microseconds."""

    async def call_on() -> None:
        for _ in range(CALLS // CONCURRENCY):
            await call()

    before, began = cpu_seconds(server), time.process_time()
    await asyncio.gather(*(call_on() for _ in range(CONCURRENCY)))
    return (time.process_time() - began) / CALLS * 1e6, (cpu_seconds(server) - before) / CALLS * 1e6


def _show(kind: str, costs: dict[str, list[tuple[float, float]]]) -> None:
    for name, rounds in costs.items():
        client, server = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{kind:12} {name:8} client {client:6.0f} µs   server {server:6.0f} µs")
    for place, end in enumerate(("client", "server")):
        ratios = [native[place] / grpcio[place] for native, grpcio in zip(costs["native"], costs["grpcio"], strict=True)]
        print(f"{kind:12} {end}: {statistics.median(ratios):.2f} of grpcio ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        uvloop.run(serve(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 7)
