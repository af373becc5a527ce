"""The catalogue's products, as they are at this moment."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np

from hashiramart.catalog.v1.catalog_pb2 import Product
from ml.recommender.interactions import Flags, Ints

NOWHERE = -1


class Filters(NamedTuple):
    """Which products may show."""

    category: str = ""
    in_stock: bool = True
    min_price_cents: int = 0
    max_price_cents: int | None = None
    excluded_ids: Collection[str] = ()


class Products:
    """Products, numbered in the order in which they were created."""

    def __init__(self, products: Iterable[Product]) -> None:
        """products: the oldest first"""
        self._numbers: dict[str, int] = {}
        self._products: list[Product | None] = []
        self._categories: dict[str, int] = {}
        self._columns = np.zeros((_COLUMNS, 1024), np.int32)
        for product in products:
            self.put(product)

    def __len__(self) -> int:
        """How many numbers are given."""
        return len(self._products)

    def put(self, product: Product) -> None:
        """Adds a product, or changes what is known of it."""
        number = self._numbers.setdefault(product.id, len(self._products))
        if number == len(self._products):
            self._products.append(product)
            if len(self._products) > self._columns.shape[1]:
                self._columns = np.hstack((self._columns, np.zeros_like(self._columns)))
        self._products[number] = product
        category = self._categories.setdefault(product.category, len(self._categories))
        self._columns[:, number] = product.stock, product.price_cents, category

    def remove(self, id: str) -> None:
        """Takes a product away. If it comes back, it has its number again."""
        if (number := self._numbers.get(id)) is not None:
            self._products[number] = None
            self._columns[_STOCK, number] = _GONE

    def get(self, id: str) -> Product | None:
        number = self._numbers.get(id)
        return None if number is None else self._products[number]

    def name(self, id: str) -> str:
        """What a product is called: by its id, if it is no longer there."""
        product = self.get(id)
        return product.name if product else id

    def at(self, number: int) -> Product | None:
        return self._products[number]

    def numbers(self, ids: Iterable[str]) -> Ints:
        """Their numbers; NOWHERE for those that the catalogue does not know."""
        return np.array([self._numbers.get(id, NOWHERE) for id in ids], np.int32)

    def flags(self, filters: Filters) -> Flags:
        """Whether each product may show, by number; and at the end, for NOWHERE, that none may."""
        stock, price, category = self._columns[:, : len(self)]
        may_show = np.zeros(len(self) + 1, bool)
        may_show[:-1] = stock > 0 if filters.in_stock else stock > _GONE
        may_show[:-1] &= price >= filters.min_price_cents
        if filters.max_price_cents is not None:
            may_show[:-1] &= price <= filters.max_price_cents
        if filters.category:
            may_show[:-1] &= category == self._categories.get(filters.category, NOWHERE)
        may_show[self.numbers(filters.excluded_ids)] = False
        return may_show


_COLUMNS = 3
_STOCK = 0
# In place of the stock of a product that is not there.
_GONE = -1
