"""Products and changes as the contract's messages, and requests as the domain's queries and details."""

from datetime import UTC, datetime

from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import InvalidArgument, UnsupportedCurrency
from mesh.field_masks import masked_fields
from mesh.timestamps import timestamp, write_timestamp
from services.catalog.domain import NEWEST_FIRST, SHORTEST_NAME_FIRST, Product, ProductDetails, ProductQuery, parse_order

# What a list is filtered by, where the request asks for some of the products only.
_IN_STOCK = {catalog_pb2.AVAILABILITY_IN_STOCK: True, catalog_pb2.AVAILABILITY_SOLD_OUT: False}


def product_message(product: Product) -> catalog_pb2.Product:
    message = catalog_pb2.Product()
    write_product(product, message)
    return message


def write_product(product: Product, message: catalog_pb2.Product) -> None:
    """Writes the product into an empty message that is already part of a list: adding a copy would take twice as long."""
    message.id = product.id
    message.name = product.name
    message.description = product.description
    message.category = product.category
    message.price_cents = product.price_cents
    message.currency_code = product.currency_code
    message.stock = product.stock
    write_timestamp(product.create_time, message.create_time)
    write_timestamp(product.update_time, message.update_time)
    if product.delete_time:
        write_timestamp(product.delete_time, message.delete_time)
    message.etag = product.etag


def change_message(product: Product, token: str) -> catalog_pb2.ProductChange:
    """The change that led to this version of a product."""
    if product.delete_time:
        kind = catalog_pb2.CHANGE_KIND_DELETED
    else:
        kind = catalog_pb2.CHANGE_KIND_CREATED if product.version == 1 else catalog_pb2.CHANGE_KIND_UPDATED
    return catalog_pb2.ProductChange(kind=kind, product=product_message(product), token=token, change_time=timestamp(product.update_time))


def bookmark_message(token: str) -> catalog_pb2.ProductChange:
    """Shows that the stream is alive, and how far it has come."""
    return catalog_pb2.ProductChange(kind=catalog_pb2.CHANGE_KIND_BOOKMARK, token=token, change_time=timestamp(datetime.now(UTC)))


def product_details(message: catalog_pb2.Product, currency: str) -> ProductDetails:
    """The editable fields of a message. Raises `UnsupportedCurrency` if it names another currency than the shop's."""
    if message.currency_code not in ("", currency):
        raise UnsupportedCurrency("product.currency_code", message.currency_code, currency)
    return ProductDetails(
        name=message.name,
        description=message.description,
        category=message.category,
        price_cents=message.price_cents,
        currency_code=currency,
        stock=message.stock,
    )


def is_in_stock(availability: catalog_pb2.Availability.ValueType) -> bool | None:
    """Whether only products that are in stock are asked for, or only those that are sold out; None for both."""
    return _IN_STOCK.get(availability)


def product_query(request: catalog_pb2.ListProductsRequest) -> ProductQuery:
    """The filters and the order of a list. Raises `InvalidArgument`."""
    filters: dict[str, str | int | bool] = {
        field: getattr(request, field) for field in ("min_price_cents", "max_price_cents") if request.HasField(field)
    }
    if (in_stock := is_in_stock(request.availability)) is not None:
        filters["in_stock"] = in_stock
    if request.category:
        filters["category"] = request.category
    default = SHORTEST_NAME_FIRST if request.search else NEWEST_FIRST
    return ProductQuery(filters, parse_order(request.order_by) if request.order_by else default, request.show_deleted)


def changed_details(request: catalog_pb2.UpdateProductRequest, currency: str) -> dict[str, object]:
    """The fields that the mask names, with their new values; without a mask, those that are set. Raises `InvalidArgument`."""
    masked = masked_fields(request.product, request.update_mask)
    details = {field: value for field, value in product_details(request.product, currency)._asdict().items() if field in masked}
    if details.get("name") == "":
        raise InvalidArgument("name must not be empty", field="product.name")
    return details
