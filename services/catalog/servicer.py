"""The RPCs of the catalog service."""

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
from google.protobuf.message import Message

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.errors import InvalidArgument, NotFound, PermissionDenied
from mesh.idempotency import idempotent_request
from mesh.identity import Role, caller
from mesh.ids import new_id
from mesh.paging import PageTokens, page_size
from services.catalog.changes import ChangeFeed
from services.catalog.domain import BEST_FIRST, NEWEST_FIRST, Details, Listing, Page, order
from services.catalog.importing import Import
from services.catalog.messages import bookmark_message, change_message, details, product_message, write_product
from services.catalog.repository import ProductRepository
from services.catalog.search import Search
from services.catalog.words import words

Context = grpc.aio.ServicerContext[Message, Message]


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """Keeps the products: finds them, changes them, and tells of every change."""

    def __init__(self, products: ProductRepository, search: Search, changes: ChangeFeed, page_tokens: PageTokens, currency: str) -> None:
        self._products = products
        self._search = search
        self._changes = changes
        self._page_tokens = page_tokens
        self._currency = currency

    async def ListProducts(self, request: catalog_pb2.ListProductsRequest, context: Context) -> catalog_pb2.ListProductsResponse:
        listing = _listing(request)
        after = self._page_tokens.read(request)
        size = page_size(request.page_size)
        asked = searched = words(request.search)
        if asked:
            page, searched = await self._search.page(listing, asked, after, size)
        elif request.search:
            page = Page([], None)
        else:
            page = listing.page(await self._products.page(listing, after, size + 1), size)
        response = catalog_pb2.ListProductsResponse(
            next_page_token=self._page_tokens.write(request, page.end) if page.end else "",
            corrected_search=" ".join(searched) if searched != asked else "",
        )
        for product in page.products:
            write_product(product, response.products.add())
        return response

    async def GetProduct(self, request: catalog_pb2.GetProductRequest, context: Context) -> catalog_pb2.Product:
        product = await self._products.get(request.id)
        if product is None:
            raise NotFound("product", request.id)
        return product_message(product)

    async def BatchGetProducts(
        self, request: catalog_pb2.BatchGetProductsRequest, context: Context
    ) -> catalog_pb2.BatchGetProductsResponse:
        ids = dict.fromkeys(request.ids)
        products = {product.id: product for product in await self._products.batch(ids)}
        response = catalog_pb2.BatchGetProductsResponse(missing_ids=(id for id in ids if id not in products))
        for id in ids:
            if product := products.get(id):
                write_product(product, response.products.add())
        return response

    async def CreateProduct(self, request: catalog_pb2.CreateProductRequest, context: Context) -> catalog_pb2.Product:
        wanted = request.product
        product = await self._products.create(wanted.id or new_id(), details(wanted, self._currency), idempotent_request(request))
        return product_message(product)

    async def ReplaceProduct(self, request: catalog_pb2.ReplaceProductRequest, context: Context) -> catalog_pb2.Product:
        wanted = request.product
        fields = details(wanted, self._currency)._asdict()
        return product_message(await self._products.change(wanted.id, lambda product, _: product.changed(wanted.etag, **fields)))

    async def UpdateProduct(self, request: catalog_pb2.UpdateProductRequest, context: Context) -> catalog_pb2.Product:
        wanted = request.product
        masked = _masked(request)
        fields = {field: value for field, value in details(wanted, self._currency)._asdict().items() if field in masked}
        if fields.get("name") == "":
            raise InvalidArgument("name must not be empty", field="product.name")
        return product_message(await self._products.change(wanted.id, lambda product, _: product.changed(wanted.etag, **fields)))

    async def DeleteProduct(self, request: catalog_pb2.DeleteProductRequest, context: Context) -> catalog_pb2.Product:
        return product_message(await self._products.change(request.id, lambda product, now: product.deleted(request.etag, now)))

    async def UndeleteProduct(self, request: catalog_pb2.UndeleteProductRequest, context: Context) -> catalog_pb2.Product:
        return product_message(await self._products.change(request.id, lambda product, _: product.undeleted(request.etag)))

    async def ImportProducts(
        self, request_iterator: AsyncIterator[catalog_pb2.ImportProductsRequest], context: Context
    ) -> catalog_pb2.ImportProductsResponse:
        return await Import(self._products, self._currency).take(request_iterator)

    async def WatchProducts(self, request: catalog_pb2.WatchProductsRequest, context: Context) -> AsyncIterator[catalog_pb2.ProductChange]:
        number, tokens = await self._changes.begin(request.token)
        yield bookmark_message(tokens.write(number))
        while True:
            try:
                async with asyncio.timeout(_BOOKMARK_SECONDS):
                    following = await self._changes.after(number)
            except TimeoutError:
                yield bookmark_message(tokens.write(number))
                continue
            for number, product in following:
                yield change_message(product, tokens.write(number))


_BOOKMARK_SECONDS = 15


def _listing(request: catalog_pb2.ListProductsRequest) -> Listing:
    if request.show_deleted and caller().role not in (Role.STAFF, Role.ADMIN):
        raise PermissionDenied("ROLE_NOT_ALLOWED", "only staff may see deleted products")
    filters: dict[str, str | int | bool] = {
        field: getattr(request, field) for field in ("in_stock", "min_price_cents", "max_price_cents") if request.HasField(field)
    }
    if request.category:
        filters["category"] = request.category
    default = BEST_FIRST if request.search else NEWEST_FIRST
    return Listing(filters, order(request.order_by) if request.order_by else default, request.show_deleted)


def _masked(request: catalog_pb2.UpdateProductRequest) -> set[str]:
    """The fields to change."""
    paths = set(request.update_mask.paths)
    if "*" in paths:
        return set(Details._fields)
    for path in paths - _MASKABLE:
        raise InvalidArgument(f"update_mask names '{path}', which is no field that can be set", field="update_mask")
    return paths or {field for field in Details._fields if getattr(request.product, field)}


# The etag says which version to change. REST has it in the mask, as one of the body's keys.
_MASKABLE = {*Details._fields, "etag"}
