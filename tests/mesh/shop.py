"""A small shop: a servicer of the catalogue's contract without storage, its server and its stub."""

# ruff: noqa: N802 the methods are named as the contract has them

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.channel import Proof, connect
from mesh.errors import NotFound, Unavailable
from mesh.health import Check
from mesh.identity import Caller, Keys, TokenVerifier, caller
from mesh.server import Server
from mesh.settings import MeshSettings

CATALOG = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]

Context = grpc.aio.ServicerContext[object, object]
Detail = TypeVar("Detail", bound=Message)


class Shop(catalog_pb2_grpc.CatalogServiceServicer):
    """Has every product, except those whose id names an error."""

    def __init__(self, supplier: catalog_pb2_grpc.CatalogServiceAsyncStub | None = None) -> None:
        self.calls = 0
        self.callers: list[Caller] = []
        # How many of the next calls fail with UNAVAILABLE.
        self.closed = 0
        # Another shop, for the products that this one does not have.
        self._supplier = supplier

    async def GetProduct(self, request: catalog_pb2.GetProductRequest, context: Context) -> catalog_pb2.Product:
        self._called()
        match request.id:
            case "missing":
                raise NotFound("product", request.id)
            case "slow":
                await asyncio.sleep(2)
        if request.id.startswith("fault"):
            raise ValueError(f"cannot divide {request.id} by zero")
        if self._supplier and request.id.startswith("supplied-"):
            return await self._supplier.GetProduct(catalog_pb2.GetProductRequest(id=request.id.removeprefix("supplied-")))
        return catalog_pb2.Product(id=request.id)

    async def BatchGetProducts(
        self, request: catalog_pb2.BatchGetProductsRequest, context: Context
    ) -> catalog_pb2.BatchGetProductsResponse:
        self._called()
        return catalog_pb2.BatchGetProductsResponse(products=[catalog_pb2.Product(id=id) for id in request.ids])

    async def CreateProduct(self, request: catalog_pb2.CreateProductRequest, context: Context) -> catalog_pb2.Product:
        self._called()
        return request.product

    async def ImportProducts(
        self, requests: AsyncIterator[catalog_pb2.ImportProductsRequest], context: Context
    ) -> catalog_pb2.ImportProductsResponse:
        self._called()
        return catalog_pb2.ImportProductsResponse(row_count=len([request async for request in requests]))

    async def WatchProducts(self, request: catalog_pb2.WatchProductsRequest, context: Context) -> AsyncIterator[catalog_pb2.ProductChange]:
        self._called()
        yield catalog_pb2.ProductChange(token="first")
        if request.token != "last":
            await asyncio.Event().wait()

    def _called(self) -> None:
        self.calls += 1
        self.callers.append(caller())
        if self.closed:
            self.closed -= 1
            raise Unavailable("SERVICE_UNAVAILABLE", "the shop is closed")


def new_shop(supplier: catalog_pb2_grpc.CatalogServiceAsyncStub | None = None) -> Shop:
    return Shop(supplier)  # type: ignore[abstract]  # what it does not serve is part of the tests


@asynccontextmanager
async def serve_shop(
    shop: Shop, settings: MeshSettings, keys: Keys, checks: Sequence[Check] = (), engines: Mapping[str, Check] = MappingProxyType({})
) -> AsyncIterator[Server]:
    """A server of the shop, on a port of its own."""
    server = Server("127.0.0.1:0", settings, TokenVerifier(settings.jwt_issuer, settings.jwt_audience, keys), checks, engines=engines)
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(shop, server)
    async with server:
        yield server


@asynccontextmanager
async def connect_stub(
    server: Server, settings: MeshSettings, proof: Proof | None = None
) -> AsyncIterator[catalog_pb2_grpc.CatalogServiceAsyncStub]:
    """A stub of the shop of a server."""
    async with connect(f"localhost:{server.port}", CATALOG, settings, proof) as channel:
        yield catalog_pb2_grpc.CatalogServiceStub(channel)


@asynccontextmanager
async def raw_method(server: Server, method: str) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]]:
    """A method of the shop that takes any bytes, on a channel that adds no metadata."""
    async with grpc.aio.insecure_channel(f"localhost:{server.port}") as channel:
        yield channel.unary_unary(f"/{CATALOG.full_name}/{method}")


def detail(error: grpc.aio.AioRpcError, kind: type[Detail]) -> Detail | None:
    """The detail of this type of an error, or None."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for packed in status.details if status else ():
        found = kind()
        if packed.Unpack(found):
            return found
    return None


def reason(error: grpc.aio.AioRpcError) -> str:
    info = detail(error, error_details_pb2.ErrorInfo)
    return info.reason if info else ""
