"""The products of the catalogue in memory, and which of them a list may show."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashiramart.catalog.v1.catalog_pb2 import AVAILABILITY_ANY, AVAILABILITY_IN_STOCK, AVAILABILITY_SOLD_OUT, Availability, Product

# The number of a product that the catalogue does not have.
UNKNOWN = -1

_STOCK, _PRICE, _CATEGORY = range(3)
_COLUMN_COUNT = 3
_INITIAL_CAPACITY = 1024
# Stands for the stock of a deleted product.
_DELETED = -1
_MAX_STOCK = np.iinfo(np.int32).max
# The least and the most stock of the products that are listed.
_STOCK_LIMITS: Mapping[Availability.ValueType, tuple[int, int]] = {
    AVAILABILITY_IN_STOCK: (1, _MAX_STOCK),
    AVAILABILITY_SOLD_OUT: (0, 0),
    AVAILABILITY_ANY: (0, _MAX_STOCK),
}


class ProductFilter(NamedTuple):
    """The conditions on the products of a list."""

    category: str = ""
    availability: Availability.ValueType = AVAILABILITY_IN_STOCK
    min_price_cents: int = 0
    max_price_cents: int | None = None
    excluded_ids: Collection[str] = ()
    excluded_categories: Collection[str] = ()


class Products:
    """The products of the catalogue, numbered in the order of their creation.

    Stock, price and category are also kept as arrays, so that a filter over all products takes microseconds.
    """

    def __init__(self, products: Iterable[Product]) -> None:
        """products: oldest first"""
        self._numbers: dict[str, int] = {}
        self._products: list[Product | None] = []
        self._categories: dict[str, int] = {}
        self._columns = np.zeros((_COLUMN_COUNT, _INITIAL_CAPACITY), np.int32)
        for product in products:
            self.upsert(product)

    def __len__(self) -> int:
        """How many numbers are in use, those of deleted products included."""
        return len(self._products)

    def upsert(self, product: Product) -> None:
        """Adds a product, or replaces it."""
        number = self._numbers.setdefault(product.id, len(self._products))
        if number == len(self._products):
            self._products.append(product)
            if len(self._products) > self._columns.shape[1]:
                self._columns = np.hstack((self._columns, np.zeros_like(self._columns)))
        self._products[number] = product
        category = self._categories.setdefault(product.category, len(self._categories))
        self._columns[:, number] = product.stock, product.price_cents, category

    def remove(self, id: str) -> None:
        """Removes a product. It gets the same number again if it is restored."""
        if (number := self._numbers.get(id)) is not None:
            self._products[number] = None
            self._columns[_STOCK, number] = _DELETED

    def get(self, id: str) -> Product | None:
        number = self._numbers.get(id)
        return None if number is None else self._products[number]

    def category(self, id: str) -> str:
        """The category of a product, empty if it was deleted."""
        product = self.get(id)
        return product.category if product else ""

    def has_category(self, category: str) -> bool:
        """Whether some product has, or had, this category."""
        return category in self._categories

    def name(self, id: str) -> str:
        """The name of a product, or its id if it was deleted."""
        product = self.get(id)
        return product.name if product else id

    def at(self, number: int) -> Product | None:
        """The product of a number, or None if it was deleted."""
        return self._products[number]

    def numbers(self, ids: Iterable[str]) -> NDArray[np.int32]:
        """The number of each product, `UNKNOWN` for those that the catalogue never had."""
        return np.array([self._numbers.get(id, UNKNOWN) for id in ids], np.int32)

    def mask(self, filter: ProductFilter) -> NDArray[np.bool_]:
        """Whether each product passes the filter, by number, shape (products + 1,). The last entry, that of `UNKNOWN`, is False."""
        columns = self._columns[:, : len(self)]
        stock, price = columns[_STOCK], columns[_PRICE]
        mask = np.zeros(len(self) + 1, bool)
        least, most = _STOCK_LIMITS[filter.availability]
        mask[:-1] = (stock >= least) & (stock <= most)
        mask[:-1] &= price >= filter.min_price_cents
        if filter.max_price_cents is not None:
            mask[:-1] &= price <= filter.max_price_cents
        if filter.category:
            mask[:-1] &= columns[_CATEGORY] == self._categories.get(filter.category, UNKNOWN)
        if filter.excluded_categories:
            excluded = [self._categories.get(category, UNKNOWN) for category in filter.excluded_categories]
            mask[:-1] &= ~np.isin(columns[_CATEGORY], excluded)
        mask[self.numbers(filter.excluded_ids)] = False
        return mask
