"""A customer as the recommender sees them: what they bought and what they look at, at one moment."""

from dataclasses import dataclass

import numpy as np

from ml.recommender.interactions import UNKNOWN, Floats, Interactions, Ints

NO_PRODUCTS, NO_WEIGHTS = np.zeros(0, np.int32), np.zeros(0, np.float32)


@dataclass(frozen=True)
class Customer:
    """Products are the model's indices; ages are days before the cutoff: 1 for the day before it, 0 for what is later."""

    # One entry per product and day on which it was bought, the oldest first.
    product: Ints
    age: Floats
    quantity: Floats
    # What is looked at or in the basket, in order of the products, and how much it tells beside a purchase of today, which tells 1.
    interest: Ints
    interest_weight: Floats
    country: int = UNKNOWN
    # The customer's place in the history that the model has learnt from.
    index: int = UNKNOWN

    @classmethod
    def of(cls, history: Interactions, index: int, cutoff: int) -> "Customer":
        """A customer of the history, at a cutoff before which it lies."""
        events = history.of_customer(index)
        age = (cutoff - history.day[events]).astype(np.float32)
        product, quantity, country = history.product[events], history.quantity[events], int(history.country[index])
        return cls(product, age, quantity, NO_PRODUCTS, NO_WEIGHTS, country, index)


@dataclass(frozen=True)
class Holdings:
    """What a customer bought, one entry per product, in order of the products."""

    product: Ints
    # Shape (products,) each: on how many days, days since the first and the last, quantities.
    days: Floats
    first_age: Floats
    last_age: Floats
    total: Floats
    last_quantity: Floats
    # Where each product's events start among the events in order of product, and these events' ages.
    starts: Ints
    age: Floats

    @classmethod
    def of(cls, customer: Customer) -> "Holdings":
        """The events of a customer, gathered by product."""
        order = np.argsort(customer.product, kind="stable")
        product, age, quantity = customer.product[order], customer.age[order], customer.quantity[order]
        new = np.ones(len(product), bool)
        new[1:] = product[1:] != product[:-1]
        starts = np.flatnonzero(new).astype(np.int32)
        ends = np.append(starts[1:], len(product)) - 1
        if not len(starts):
            nothing = np.zeros(0, np.float32)
            return cls(product, nothing, nothing, nothing, nothing, nothing, starts, nothing)
        return cls(
            product=product[starts],
            days=(ends - starts + 1).astype(np.float32),
            first_age=age[starts],
            last_age=age[ends],
            total=np.add.reduceat(quantity, starts),
            last_quantity=quantity[ends],
            starts=starts,
            age=age,
        )

    def weights(self, half_life: float) -> Floats:
        """How much each product tells: the sum over its events, each halved in so many days. Shape (products,)."""
        return self.summed(decay(self.age, half_life))

    def summed(self, values: Floats) -> Floats:
        """The sum of the events' values by product."""
        return np.add.reduceat(values, self.starts) if len(self.starts) else values


def decay(age: Floats, half_life: float) -> Floats:
    """1 for an age of 0, and half as much with each half-life."""
    weights: Floats = np.exp2(age * np.float32(-1 / half_life))
    return weights
