"""Follows the catalogue, so that every answer knows its products as they are."""

import asyncio

import grpc.aio
import structlog

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.errors import Unavailable
from services.recommender.products import Products

log = structlog.get_logger(__name__)


class Catalog:
    """A replica of the catalogue. While the catalog cannot be reached, it is as it was."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._products: Products | None = None
        self._filled = asyncio.Event()
        # How far the changes are known.
        self._token = ""

    @property
    def products(self) -> Products:
        """Raises `Unavailable` before the catalog was reached."""
        if self._products is None:
            raise Unavailable("CATALOG_UNAVAILABLE", "the products cannot be had: the catalog has not been reached yet")
        return self._products

    @property
    def is_filled(self) -> bool:
        """Whether there are products to answer with."""
        return self._products is not None

    async def filled(self, patience_seconds: float) -> None:
        """Waits for the products, though not for ever."""
        try:
            async with asyncio.timeout(patience_seconds):
                await self._filled.wait()
        except TimeoutError:
            log.warning("the catalog has not been reached yet")

    async def follow(self) -> None:
        """Takes in every change, for as long as it is let."""
        trouble = None
        while True:
            known = self._token
            try:
                await self._watch()
            except grpc.aio.AioRpcError as error:
                # Once, not at every try.
                if trouble is not error.code() or self._token != known:
                    trouble = error.code()
                    log.warning("the catalogue is not followed", code=trouble.name)
                if error.code() in _STALE:
                    self._token = ""
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _watch(self) -> None:
        async for change in self._catalog.WatchProducts(catalog_pb2.WatchProductsRequest(token=self._token)):
            if not self._token:
                # From the first bookmark on no change is missed: what is listed now is at least as new.
                self._products = await self._listed()
                self._filled.set()
                log.info("following the catalogue", products=len(self._products))
            elif change.kind == catalog_pb2.CHANGE_KIND_DELETED:
                self.products.remove(change.product.id)
            elif change.kind != catalog_pb2.CHANGE_KIND_BOOKMARK:
                self.products.put(change.product)
            self._token = change.token

    async def _listed(self) -> Products:
        newest_first: list[catalog_pb2.Product] = []
        request = catalog_pb2.ListProductsRequest(page_size=_PAGE)
        while True:
            page = await self._catalog.ListProducts(request)
            newest_first += page.products
            if not page.next_page_token:
                return Products(reversed(newest_first))
            request.page_token = page.next_page_token


# The token is older than what is kept, or of another catalogue: one begins anew.
_STALE = (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.INVALID_ARGUMENT)
_PAGE = 100
_PAUSE_SECONDS = 0.25
