"""The stock of products, as the catalogue has it."""

import time
from typing import NamedTuple

import grpc.aio

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.errors import Unavailable

_PAGE_SIZE = 100
_TIMEOUT_SECONDS = 2
# Pages of one list of suggestions are of one state of the stock, unless they are read slowly.
_MAX_AGE_SECONDS = 15


class StockedProduct(NamedTuple):
    """A product of the catalogue."""

    id: str
    name: str
    stock: int


class Stock:
    """Reads all products from the catalog service, and keeps them for some seconds."""

    def __init__(self, channel: grpc.aio.Channel, max_age_seconds: float = _MAX_AGE_SECONDS) -> None:
        self._max_age_seconds = max_age_seconds
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._products: dict[str, StockedProduct] = {}
        self._read_time = float("-inf")

    async def read(self) -> dict[str, StockedProduct]:
        """The products by id. Raises `Unavailable`."""
        if time.monotonic() - self._read_time > self._max_age_seconds:
            self._products = await self._list_products()
            self._read_time = time.monotonic()
        return self._products

    async def _list_products(self) -> dict[str, StockedProduct]:
        found: dict[str, StockedProduct] = {}
        request = catalog_pb2.ListProductsRequest(page_size=_PAGE_SIZE)
        while True:
            try:
                page = await self._catalog.ListProducts(request, timeout=_TIMEOUT_SECONDS)
            except grpc.aio.AioRpcError as error:
                raise Unavailable("STOCK_UNAVAILABLE", "the catalog, which has the stock, cannot be reached") from error
            found |= {product.id: StockedProduct(product.id, product.name, product.stock) for product in page.products}
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token
