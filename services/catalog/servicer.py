"""The RPCs of the catalog service."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import grpc.aio
from google.protobuf.message import Message

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.errors import NotFound
from mesh.field_masks import check_fixed_fields
from mesh.idempotency import idempotent_request
from mesh.identity import require_staff
from mesh.ids import new_id
from mesh.paging import PageTokens, page_size
from services.catalog.domain import Product, ProductPage
from services.catalog.feed import ChangeFeed
from services.catalog.importing import ProductImport
from services.catalog.messages import (
    bookmark_message,
    change_message,
    changed_details,
    is_in_stock,
    product_details,
    product_message,
    product_query,
    write_product,
)
from services.catalog.repository.categories import CategoryRepository
from services.catalog.repository.lists import ProductListRepository
from services.catalog.repository.products import ProductRepository
from services.catalog.search import Search
from services.catalog.words import words

Context = grpc.aio.ServicerContext[Message, Message]

_BOOKMARK_SECONDS = 15
_DEFAULT_CATEGORIES, _MAX_CATEGORIES = 100, 1000


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """Manages products: finds and changes them, and streams every change."""

    def __init__(
        self,
        products: ProductRepository,
        lists: ProductListRepository,
        categories: CategoryRepository,
        search: Search,
        feed: ChangeFeed,
        page_tokens: PageTokens,
        currency: str,
    ) -> None:
        self._products = products
        self._lists = lists
        self._categories = categories
        self._search = search
        self._feed = feed
        self._page_tokens = page_tokens
        self._currency = currency

    async def ListProducts(self, request: catalog_pb2.ListProductsRequest, context: Context) -> catalog_pb2.ListProductsResponse:
        if request.show_deleted:
            require_staff("only staff may see deleted products")
        query = product_query(request)
        after = self._page_tokens.read(request)
        size = page_size(request.page_size)
        asked = searched = words(request.search)
        if asked:
            page, searched = await self._search.page(query, asked, after, size)
        elif request.search:
            page = ProductPage([], None)
        else:
            page = query.page(await self._lists.page(query, after, size + 1), size)
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

    async def ListCategories(self, request: catalog_pb2.ListCategoriesRequest, context: Context) -> catalog_pb2.ListCategoriesResponse:
        place = self._page_tokens.read(request)
        size = page_size(request.page_size, _DEFAULT_CATEGORIES, _MAX_CATEGORIES)
        after = str(place[0]) if place else ""
        found = await self._categories.page(after, size + 1, is_in_stock(request.availability))
        return catalog_pb2.ListCategoriesResponse(
            categories=(catalog_pb2.Category(**category._asdict()) for category in found[:size]),
            next_page_token=self._page_tokens.write(request, (found[size - 1].name,)) if len(found) > size else "",
        )

    async def CreateProduct(self, request: catalog_pb2.CreateProductRequest, context: Context) -> catalog_pb2.Product:
        id, details = request.product.id or new_id(), product_details(request.product, self._currency)
        return await self._products.create(id, details, idempotent_request(request))

    async def ReplaceProduct(self, request: catalog_pb2.ReplaceProductRequest, context: Context) -> catalog_pb2.Product:
        id, etag = request.product.id, request.product.etag
        details = product_details(request.product, self._currency)._asdict()
        return await self._products.update(id, lambda product, _: product.update(etag, **details), idempotent_request(request))

    async def UpdateProduct(self, request: catalog_pb2.UpdateProductRequest, context: Context) -> catalog_pb2.Product:
        sent = request.product
        details = changed_details(request, self._currency)

        def apply(product: Product, _now: datetime) -> Product:
            updated = product.update(sent.etag, **details)
            check_fixed_fields("product", sent, request.update_mask, product_message(product))
            return updated

        return await self._products.update(sent.id, apply, idempotent_request(request))

    async def DeleteProduct(self, request: catalog_pb2.DeleteProductRequest, context: Context) -> catalog_pb2.Product:
        return await self._products.update(request.id, lambda product, now: product.delete(request.etag, now), idempotent_request(request))

    async def UndeleteProduct(self, request: catalog_pb2.UndeleteProductRequest, context: Context) -> catalog_pb2.Product:
        return await self._products.update(request.id, lambda product, _: product.undelete(request.etag), idempotent_request(request))

    async def ImportProducts(
        self, request_iterator: AsyncIterator[catalog_pb2.ImportProductsRequest], context: Context
    ) -> catalog_pb2.ImportProductsResponse:
        return await ProductImport(self._products, self._currency).run(request_iterator)

    async def WatchProducts(self, request: catalog_pb2.WatchProductsRequest, context: Context) -> AsyncIterator[catalog_pb2.ProductChange]:
        number, tokens = await self._feed.resume(request.token)
        yield bookmark_message(tokens.write(number))
        while True:
            try:
                async with asyncio.timeout(_BOOKMARK_SECONDS):
                    changes = await self._feed.after(number)
            except TimeoutError:
                yield bookmark_message(tokens.write(number))
                continue
            for number, product in changes:
                yield change_message(product, tokens.write(number))
