"""Products as the contract's messages."""

from datetime import UTC, datetime

from hashiramart.catalog.v1 import catalog_pb2
from mesh.timestamps import timestamp, write_timestamp
from services.catalog.domain import Details, Product


def product_message(product: Product) -> catalog_pb2.Product:
    """The product, as callers see it."""
    message = catalog_pb2.Product()
    write_product(product, message)
    return message


def write_product(product: Product, message: catalog_pb2.Product) -> None:
    """Writes the product, as callers see it, into an empty message. A list has a hundred: to copy them into it costs as much again."""
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
    """The change that made the product what it is."""
    if product.delete_time:
        kind = catalog_pb2.CHANGE_KIND_DELETED
    else:
        kind = catalog_pb2.CHANGE_KIND_CREATED if product.version == 1 else catalog_pb2.CHANGE_KIND_UPDATED
    return catalog_pb2.ProductChange(kind=kind, product=product_message(product), token=token, change_time=timestamp(product.update_time))


def bookmark_message(token: str) -> catalog_pb2.ProductChange:
    """A sign of life, and how far the stream has come."""
    return catalog_pb2.ProductChange(kind=catalog_pb2.CHANGE_KIND_BOOKMARK, token=token, change_time=timestamp(datetime.now(UTC)))


def details(message: catalog_pb2.Product, currency: str) -> Details:
    """What a caller sets by this message. Where it names no currency, it is the shop's own."""
    return Details(
        name=message.name,
        description=message.description,
        category=message.category,
        price_cents=message.price_cents,
        currency_code=message.currency_code or currency,
        stock=message.stock,
    )
