"""Products and changes as the contract's messages, and requests as the domain's queries and details."""

from datetime import UTC, datetime

from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import InvalidArgument
from mesh.timestamps import timestamp, write_timestamp
from services.catalog.domain import NEWEST_FIRST, SHORTEST_NAME_FIRST, Product, ProductDetails, ProductQuery, parse_order

# REST puts every key of the body into the mask. The etag says which version to change, and is not changed itself.
_MASK_FIELDS = {*ProductDetails._fields, "etag"}


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
    """The editable fields of a message, with `currency` where it names none."""
    return ProductDetails(
        name=message.name,
        description=message.description,
        category=message.category,
        price_cents=message.price_cents,
        currency_code=message.currency_code or currency,
        stock=message.stock,
    )


def product_query(request: catalog_pb2.ListProductsRequest) -> ProductQuery:
    """The filters and the order of a list. Raises `InvalidArgument`."""
    filters: dict[str, str | int | bool] = {
        field: getattr(request, field) for field in ("in_stock", "min_price_cents", "max_price_cents") if request.HasField(field)
    }
    if request.category:
        filters["category"] = request.category
    default = SHORTEST_NAME_FIRST if request.search else NEWEST_FIRST
    return ProductQuery(filters, parse_order(request.order_by) if request.order_by else default, request.show_deleted)


def changed_details(request: catalog_pb2.UpdateProductRequest, currency: str) -> dict[str, object]:
    """The fields that the mask names, with their new values; without a mask, those that are set. Raises `InvalidArgument`."""
    mask = _mask(request)
    details = {field: value for field, value in product_details(request.product, currency)._asdict().items() if field in mask}
    if details.get("name") == "":
        raise InvalidArgument("name must not be empty", field="product.name")
    return details


def _mask(request: catalog_pb2.UpdateProductRequest) -> set[str]:
    paths = set(request.update_mask.paths)
    if "*" in paths:
        return set(ProductDetails._fields)
    for path in paths - _MASK_FIELDS:
        raise InvalidArgument(f"update_mask names '{path}', which is not a field that can be changed", field="update_mask")
    return paths or {field for field in ProductDetails._fields if getattr(request.product, field)}
