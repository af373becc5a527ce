"""A replica of the catalogue that follows its changes."""

import asyncio

import grpc.aio
import structlog

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.errors import Unavailable
from mesh.periodic import run_periodically
from services.recommender.products import Products

_log = structlog.get_logger(__name__)

_PAGE_SIZE = 100
_RETRY_SECONDS = 0.25
# The catalog no longer keeps the changes since the token, or did not issue it: the replica is filled anew.
_STALE_TOKEN = (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.INVALID_ARGUMENT)


class CatalogFollower:
    """The products of the catalogue. While the catalog service cannot be reached, they stay as they were."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._products: Products | None = None
        self._filled = asyncio.Event()
        # The position in the stream of changes; empty before the first bookmark.
        self._token = ""

    @property
    def products(self) -> Products:
        """Raises `Unavailable` while the catalog has not been reached yet."""
        if self._products is None:
            raise Unavailable("CATALOG_UNAVAILABLE", "the catalog has not been reached yet")
        return self._products

    @property
    def is_filled(self) -> bool:
        return self._products is not None

    async def wait_until_filled(self, timeout_seconds: float) -> None:
        """Returns when the products are there, or when the time is over."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._filled.wait()
        except TimeoutError:
            _log.warning("the catalog has not been reached yet")

    async def follow(self) -> None:
        """Applies changes until cancelled."""
        await run_periodically(self._follow_stream, _RETRY_SECONDS)

    async def _follow_stream(self) -> None:
        """Applies changes until the stream ends. Raises the error that ended it, unless there were changes or a new start is needed."""
        before = self._token
        try:
            async for change in self._catalog.WatchProducts(catalog_pb2.WatchProductsRequest(token=self._token)):
                await self._apply(change)
        except grpc.aio.AioRpcError as error:
            if error.code() in _STALE_TOKEN:
                self._token = ""
            if self._token == before:
                raise
            _log.warning("the stream of catalogue changes ended", code=error.code().name)

    async def _apply(self, change: catalog_pb2.ProductChange) -> None:
        if not self._token:
            # Listed after the first bookmark, so that no change is missed.
            self._products = Products(await self._list_products())
            self._filled.set()
            _log.info("following the catalogue", products=len(self._products))
        elif change.kind == catalog_pb2.CHANGE_KIND_DELETED:
            self.products.remove(change.product.id)
        elif change.kind != catalog_pb2.CHANGE_KIND_BOOKMARK:
            self.products.upsert(change.product)
        self._token = change.token

    async def _list_products(self) -> list[catalog_pb2.Product]:
        """All products, oldest first."""
        newest_first: list[catalog_pb2.Product] = []
        request = catalog_pb2.ListProductsRequest(page_size=_PAGE_SIZE)
        while True:
            page = await self._catalog.ListProducts(request)
            newest_first += page.products
            if not page.next_page_token:
                return newest_first[::-1]
            request.page_token = page.next_page_token
