"""The names of products, as the catalogue has them."""

from collections.abc import Mapping, Sequence

import grpc.aio
import structlog

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc

_TIMEOUT_SECONDS = 2

_log = structlog.get_logger(__name__)


class ProductNames:
    """Reads the names of products from the catalog service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)

    async def read(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The names of up to 100 products by their ids, without products that the catalogue does not have; none while it is unavailable."""
        if not ids:
            return {}
        try:
            found = await self._catalog.BatchGetProducts(catalog_pb2.BatchGetProductsRequest(ids=ids), timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            _log.warning("series are listed without the names of products", code=error.code().name)
            return {}
        return {product.id: product.name for product in found.products}
