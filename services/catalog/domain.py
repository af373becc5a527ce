"""Products and their rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from mesh.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from mesh.paging import Place
from services.catalog.words import words


class Details(NamedTuple):
    """What whoever keeps a product may set."""

    name: str
    description: str
    category: str
    price_cents: int
    currency_code: str
    stock: int


class Product(NamedTuple):
    """A product as one of its changes left it."""

    id: str
    name: str
    description: str
    category: str
    price_cents: int
    currency_code: str
    stock: int
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    version: int

    @property
    def details(self) -> Details:
        return Details(self.name, self.description, self.category, self.price_cents, self.currency_code, self.stock)

    @property
    def etag(self) -> str:
        return f"{self.version:x}"

    @property
    def name_length(self) -> int:
        """In words, with the id: the fewer there are, the more each of them says."""
        return len(name_words(self.id, self.name))

    def changed(self, etag: str, **fields: Any) -> Self:
        """The product with other details. Raises `NotFound` if it was deleted, `Aborted` if it is no longer what `etag` stands for."""
        if self.delete_time:
            raise NotFound("product", self.id)
        self._check(etag)
        return self._replace(**fields)

    def deleted(self, etag: str, now: datetime) -> Self:
        """The product, deleted. Raises `NotFound` if it is already, `Aborted` if it is no longer what `etag` stands for."""
        return self.changed(etag)._replace(delete_time=now)

    def undeleted(self, etag: str) -> Self:
        """The product as it was before. Raises `FailedPrecondition` if it is not deleted, `Aborted` if `etag` is stale."""
        if not self.delete_time:
            raise FailedPrecondition("PRODUCT_NOT_DELETED", f"product '{self.id}' is not deleted")
        self._check(etag)
        return self._replace(delete_time=None)

    def _check(self, etag: str) -> None:
        if etag and etag != self.etag:
            raise Aborted("STALE_ETAG", f"product '{self.id}' was changed since it was read")


class Key(NamedTuple):
    """One of the fields by which a list is ordered."""

    field: str
    falls: bool


# A search: the shortest names first.
BEST_FIRST = (Key("name_length", falls=False), Key("id", falls=False))
NEWEST_FIRST = (Key("create_time", falls=True), Key("id", falls=True))


class Page(NamedTuple):
    """A page of a list."""

    products: list[Product]
    # Where it ends, if another one follows.
    end: Place | None


class Listing(NamedTuple):
    """Which products a list has, and in which order."""

    # By name of the request's field; what is not filtered by is left out.
    filters: Mapping[str, str | int | bool]
    # No two products have the same place in it: the last key is the id.
    order: tuple[Key, ...]
    show_deleted: bool

    def place(self, product: Product) -> Place:
        """Where the product is in the list."""
        return tuple(getattr(product, key.field) for key in self.order)

    def page(self, products: list[Product], size: int) -> Page:
        """The page of the first of these: one more than `size`, if another page follows."""
        return Page(products[:size], self.place(products[size - 1]) if len(products) > size else None)


def name_words(id: str, name: str) -> list[str]:
    """The words by which a product is found best."""
    return words(f"{id} {name}")


def order(order_by: str) -> tuple[Key, ...]:
    """The order that a list asks for: `price_cents desc, name`. Raises `InvalidArgument`."""
    keys = [_key(part) for part in order_by.split(",")]
    fields = [key.field for key in keys]
    if len(set(fields)) < len(fields):
        raise InvalidArgument(f"order_by names a field twice: '{order_by}'", field="order_by")
    if "id" not in fields:
        # Falling with the rest, so that one index serves both directions.
        keys.append(Key("id", keys[-1].falls))
    return tuple(keys[: 1 + [key.field for key in keys].index("id")])


_ORDER_FIELDS = ("create_time", "update_time", "name", "price_cents", "stock", "id")


def _key(part: str) -> Key:
    match part.split():
        case [field] if field in _ORDER_FIELDS:
            return Key(field, falls=False)
        case [field, "desc"] if field in _ORDER_FIELDS:
            return Key(field, falls=True)
    raise InvalidArgument(f"order_by takes {', '.join(_ORDER_FIELDS)}, each with or without 'desc', not '{part.strip()}'", field="order_by")
