"""Products, lists of them, and their rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from mesh.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from mesh.paging import Place
from services.catalog.words import words

_SORT_FIELDS = ("create_time", "update_time", "name", "price_cents", "stock", "id")


class ProductDetails(NamedTuple):
    """The editable fields of a product."""

    name: str
    description: str
    category: str
    price_cents: int
    currency_code: str
    stock: int


class Product(NamedTuple):
    """A version of a product."""

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
    def details(self) -> ProductDetails:
        return ProductDetails(self.name, self.description, self.category, self.price_cents, self.currency_code, self.stock)

    @property
    def etag(self) -> str:
        return f"{self.version:x}"

    @property
    def name_length(self) -> int:
        """The number of words in id and name: the fewer there are, the better each of them describes the product."""
        return len(name_words(self.id, self.name))

    def update(self, etag: str, **details: Any) -> Self:
        """A copy with other details. Raises `NotFound` if the product is deleted, `Aborted` if `etag` is stale."""
        if self.delete_time:
            raise NotFound("product", self.id)
        self._check_etag(etag)
        return self._replace(**details)

    def delete(self, etag: str, now: datetime) -> Self:
        """A copy that is deleted. Raises `NotFound` if the product is already, `Aborted` if `etag` is stale."""
        return self.update(etag)._replace(delete_time=now)

    def undelete(self, etag: str) -> Self:
        """A copy that is not deleted. Raises `FailedPrecondition` if the product is not deleted, `Aborted` if `etag` is stale."""
        if not self.delete_time:
            raise FailedPrecondition("PRODUCT_NOT_DELETED", "product '{id}' is not deleted", id=self.id)
        self._check_etag(etag)
        return self._replace(delete_time=None)

    def _check_etag(self, etag: str) -> None:
        if etag and etag != self.etag:
            raise Aborted("STALE_ETAG", "product '{id}' was changed since it was read", id=self.id)


class Category(NamedTuple):
    """A category, and how many products a list of categories counts in it."""

    name: str
    product_count: int


class ProductTexts(NamedTuple):
    """The texts whose words form the vocabulary, and the id of their product."""

    id: str
    name: str
    description: str
    category: str


class Change(NamedTuple):
    """A change of a product."""

    number: int
    """Its number among all changes, which are numbered from 1 without a gap."""
    product: Product
    """The product after the change."""


class ChangeLog(NamedTuple):
    """The extent of the log of changes."""

    last_number: int
    first_number: int | None
    """The first change that has not expired, or None if all have."""
    secret: bytes
    """Distinguishes the tokens of this log from those of another."""


class SortKey(NamedTuple):
    """A field that a list is sorted by, and in which direction."""

    field: str
    descending: bool


SortOrder = tuple[SortKey, ...]

# The default for a search.
SHORTEST_NAME_FIRST: SortOrder = (SortKey("name_length", descending=False), SortKey("id", descending=False))
NEWEST_FIRST: SortOrder = (SortKey("create_time", descending=True), SortKey("id", descending=True))


class ProductPage(NamedTuple):
    """A page of a list of products."""

    products: list[Product]
    end: Place | None
    """Where the page ends, or None if it is the last one."""


class ProductQuery(NamedTuple):
    """Which products a list contains, and in which order."""

    filters: Mapping[str, str | int | bool]
    """The values to filter by, by the name of the request's field."""
    order: SortOrder
    """Ends with the id, so that no two products have the same place."""
    show_deleted: bool

    def place(self, product: Product) -> Place:
        """The place of a product in the list."""
        return tuple(getattr(product, key.field) for key in self.order)

    def page(self, products: list[Product], size: int) -> ProductPage:
        """The first page of these products, of which there are more than `size` if another page follows."""
        return ProductPage(products[:size], self.place(products[size - 1]) if len(products) > size else None)


def name_words(id: str, name: str) -> list[str]:
    """The words of id and name, in which a match ranks highest."""
    return words(f"{id} {name}")


def parse_order(order_by: str) -> SortOrder:
    """The order that a request asks for, as in `price_cents desc, name`. Raises `InvalidArgument`."""
    keys = [_parse_key(part) for part in order_by.split(",")]
    fields = [key.field for key in keys]
    if len(set(fields)) < len(fields):
        raise InvalidArgument("order_by names a field twice: '{order_by}'", field="order_by", order_by=order_by)
    if "id" not in fields:
        # In the direction of the key before it, so that one index serves both directions.
        keys.append(SortKey("id", keys[-1].descending))
    return tuple(keys[: 1 + [key.field for key in keys].index("id")])


def _parse_key(part: str) -> SortKey:
    match part.split():
        case [field] if field in _SORT_FIELDS:
            return SortKey(field, descending=False)
        case [field, "desc"] if field in _SORT_FIELDS:
            return SortKey(field, descending=True)
    raise InvalidArgument(
        "order_by takes {fields}, each with or without 'desc', not '{key}'",
        field="order_by",
        fields=", ".join(_SORT_FIELDS),
        key=part.strip(),
    )
