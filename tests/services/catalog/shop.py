"""A client of the catalogue."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, cast

from google.protobuf.field_mask_pb2 import FieldMask

from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.catalog.v1.catalog_pb2_grpc import CatalogServiceStub


class Watch(Protocol):
    """A stream of changes, which its reader can cancel."""

    def __iter__(self) -> Iterator[catalog_pb2.ProductChange]: ...

    def __next__(self) -> catalog_pb2.ProductChange: ...

    def cancel(self) -> bool: ...


class Shop:
    """Calls the catalogue as one caller."""

    def __init__(self, stub: CatalogServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self.stub = stub
        self.metadata = metadata

    def create(self, name: str = "Mug", *, request_id: str = "", **fields: Any) -> catalog_pb2.Product:
        request = catalog_pb2.CreateProductRequest(product=catalog_pb2.Product(name=name, **fields), request_id=request_id)
        return self.stub.CreateProduct(request, metadata=self.metadata, timeout=10)

    def get(self, id: str) -> catalog_pb2.Product:
        return self.stub.GetProduct(catalog_pb2.GetProductRequest(id=id), metadata=self.metadata, timeout=10)

    def batch(self, *ids: str) -> catalog_pb2.BatchGetProductsResponse:
        return self.stub.BatchGetProducts(catalog_pb2.BatchGetProductsRequest(ids=ids), metadata=self.metadata, timeout=10)

    def replace(self, id: str, name: str = "Mug", *, request_id: str = "", **fields: Any) -> catalog_pb2.Product:
        request = catalog_pb2.ReplaceProductRequest(product=catalog_pb2.Product(id=id, name=name, **fields), request_id=request_id)
        return self.stub.ReplaceProduct(request, metadata=self.metadata, timeout=10)

    def update(self, id: str, mask: Iterable[str] = (), *, request_id: str = "", **fields: Any) -> catalog_pb2.Product:
        return self.send_back(catalog_pb2.Product(id=id, **fields), mask, request_id)

    def send_back(self, product: catalog_pb2.Product, mask: Iterable[str], request_id: str = "") -> catalog_pb2.Product:
        """Updates a product that was read before."""
        request = catalog_pb2.UpdateProductRequest(product=product, update_mask=FieldMask(paths=mask), request_id=request_id)
        return self.stub.UpdateProduct(request, metadata=self.metadata, timeout=10)

    def delete(self, id: str, etag: str = "", request_id: str = "") -> catalog_pb2.Product:
        request = catalog_pb2.DeleteProductRequest(id=id, etag=etag, request_id=request_id)
        return self.stub.DeleteProduct(request, metadata=self.metadata, timeout=10)

    def undelete(self, id: str, etag: str = "", request_id: str = "") -> catalog_pb2.Product:
        request = catalog_pb2.UndeleteProductRequest(id=id, etag=etag, request_id=request_id)
        return self.stub.UndeleteProduct(request, metadata=self.metadata, timeout=10)

    def categories(self, **arguments: Any) -> catalog_pb2.ListCategoriesResponse:
        return self.stub.ListCategories(catalog_pb2.ListCategoriesRequest(**arguments), metadata=self.metadata, timeout=10)

    def page(self, **arguments: Any) -> catalog_pb2.ListProductsResponse:
        return self.stub.ListProducts(catalog_pb2.ListProductsRequest(**arguments), metadata=self.metadata, timeout=10)

    def ids(self, **arguments: Any) -> list[str]:
        """The ids on all pages of a list."""
        return [id for page in self.pages(**arguments) for id in page]

    def pages(self, **arguments: Any) -> Iterator[list[str]]:
        token = ""
        while True:
            page = self.page(**arguments, page_token=token)
            yield [product.id for product in page.products]
            if not (token := page.next_page_token):
                return

    def import_products(self, rows: Iterable[catalog_pb2.ImportProductsRequest]) -> catalog_pb2.ImportProductsResponse:
        return self.stub.ImportProducts(iter(rows), metadata=self.metadata, timeout=60)

    def watch(self, token: str = "") -> Watch:
        call = self.stub.WatchProducts(catalog_pb2.WatchProductsRequest(token=token), metadata=self.metadata, timeout=60)
        # The type of the stub does not show that its call is an iterator.
        return cast(Watch, call)


def row(id: str, name: str = "Mug", **fields: Any) -> catalog_pb2.ImportProductsRequest:
    """A row of an import."""
    return catalog_pb2.ImportProductsRequest(product=catalog_pb2.Product(id=id, name=name, **fields))
