"""What the recommender knows of a customer at one moment."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ml.recommender.arrays import UNKNOWN, Floats, Ints
from ml.recommender.history import PurchaseHistory

NO_PRODUCTS, NO_WEIGHTS = np.zeros(0, np.int32), np.zeros(0, np.float32)


@dataclass(frozen=True)
class Customer:
    """A customer's purchases and interests.

    Products are the model's indices. Ages are days before the cutoff: 1 for the day before it, 0 for the cutoff and later.
    """

    product: Ints
    """One entry per product and day of purchase, the oldest first."""
    age: Floats
    quantity: Floats
    interest: Ints
    """Products that were viewed or are in the basket, in ascending order."""
    interest_weight: Floats
    """Weight of each interest; a purchase of today weighs 1."""
    country: int = UNKNOWN
    index: int = UNKNOWN
    """The customer's index in the purchase history that the model was fitted on."""

    @classmethod
    def from_history(cls, history: PurchaseHistory, index: int, cutoff: int) -> "Customer":
        """A customer of a purchase history that ends before the cutoff."""
        entries = history.entries_of(index)
        age = (cutoff - history.day[entries]).astype(np.float32)
        product, quantity, country = history.product[entries], history.quantity[entries], int(history.country[index])
        return cls(product, age, quantity, NO_PRODUCTS, NO_WEIGHTS, country, index)

    @classmethod
    def unknown(cls) -> "Customer":
        """A customer of whom nothing is known."""
        return cls(NO_PRODUCTS, NO_WEIGHTS, NO_WEIGHTS, NO_PRODUCTS, NO_WEIGHTS)

    @cached_property
    def purchased(self) -> "PurchasedProducts":
        """The purchases, grouped by product."""
        return PurchasedProducts.group(self)


@dataclass(frozen=True)
class PurchasedProducts:
    """The products that a customer bought, in ascending order; all arrays but the last two have shape (products,)."""

    product: Ints
    day_count: Floats
    """The number of days on which the product was bought."""
    first_age: Floats
    last_age: Floats
    total_quantity: Floats
    last_quantity: Floats
    entry_starts: Ints
    """The first entry of each product, where entries are sorted by product."""
    entry_age: Floats
    """Age of each entry, sorted by product; shape (entries,)."""

    @classmethod
    def group(cls, customer: Customer) -> "PurchasedProducts":
        """Groups the purchases of a customer by product."""
        order = np.argsort(customer.product, kind="stable")
        product, age, quantity = customer.product[order], customer.age[order], customer.quantity[order]
        is_first = np.ones(len(product), bool)
        is_first[1:] = product[1:] != product[:-1]
        starts = np.flatnonzero(is_first).astype(np.int32)
        if not len(starts):
            empty = np.zeros(0, np.float32)
            return cls(product, empty, empty, empty, empty, empty, starts, empty)
        ends = np.append(starts[1:], len(product)) - 1
        return cls(
            product=product[starts],
            day_count=(ends - starts + 1).astype(np.float32),
            first_age=age[starts],
            last_age=age[ends],
            total_quantity=np.add.reduceat(quantity, starts),
            last_quantity=quantity[ends],
            entry_starts=starts,
            entry_age=age,
        )

    def weights(self, half_life: float) -> Floats:
        """The decayed weight of each product, summed over its entries. Shape (products,).

        half_life: in days
        """
        return self.sum_entries(decay(self.entry_age, half_life))

    def sum_entries(self, values: Floats) -> Floats:
        """The sum of the entries' values by product. Shape (products,)."""
        return np.add.reduceat(values, self.entry_starts) if len(self.entry_starts) else values


def decay(age: Floats, half_life: float) -> Floats:
    """Exponential decay: 1 at age 0, one half at each further half-life."""
    weights: Floats = np.exp2(age * np.float32(-1 / half_life))
    return weights
