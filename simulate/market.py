"""The simulated market: what shoppers like, how they choose from a list, and what a list is therefore worth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

# The probability to look at position k of a list is k to the power of minus this.
POSITION_BIAS = 0.7
# The standard deviations of what all shoppers think of a product, and of what one of them thinks of its category.
_APPEAL_DEVIATION, _TASTE_DEVIATION = 1.2, 1.4
# What a product loses in utility if it costs e times as much as the median.
_PRICE_SENSITIVITY = 1.0
# The utilities at which every second shopper who sees a product clicks, and every second one who clicks buys.
_CLICK_AT, _BUY_AT = 1.5, 1.5
# The probability that a product stays in the basket, of those that were clicked and not bought.
_CART_SHARE = 0.25

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


class MarketProduct(NamedTuple):
    """A product of the catalogue."""

    id: str
    category: str
    price_cents: int


class Choice(NamedTuple):
    """What a shopper does with the products of a list, of shape (products,) each. What is bought is in the basket first, after a click."""

    seen: Flags
    clicked: Flags
    carted: Flags
    bought: Flags


class Market:
    """Shoppers and what they like. The same products, number of shoppers and seed give the same market.

    The utility of a product is what everybody thinks of it, what the shopper thinks of its category, and less the dearer it is. A shopper
    sees a position with a probability of its own, clicks on what was seen and buys what was clicked by the product's utility. What a
    product earns thus depends on the shopper, the product and the position alone, and the value of a list is a sum.
    """

    def __init__(self, products: Sequence[MarketProduct], shoppers: int, seed: int) -> None:
        """products: at least one, with prices above 0"""
        random = np.random.default_rng(seed)
        categories, self._category = np.unique([product.category for product in products], return_inverse=True)
        self.ids = [product.id for product in products]
        self.prices: Numbers = np.array([product.price_cents for product in products], np.float64)
        self._index = {id: index for index, id in enumerate(self.ids)}
        self._seed = seed
        self._common = random.normal(0, _APPEAL_DEVIATION, len(products)) - _PRICE_SENSITIVITY * np.log(
            self.prices / np.median(self.prices)
        )
        self._tastes: Numbers = random.normal(0, _TASTE_DEVIATION, (shoppers, len(categories)))

    @property
    def shoppers(self) -> int:
        """The number of shoppers."""
        return len(self._tastes)

    def knows(self, id: str) -> bool:
        return id in self._index

    def indices(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The index of each product; raises `KeyError` for one that the market does not have."""
        return np.array([self._index[id] for id in ids], np.int64)

    def utilities(self, shopper: int) -> Numbers:
        """What a shopper thinks of each product. Shape (products,)."""
        utilities: Numbers = self._common + self._tastes[shopper][self._category]
        return utilities

    def revenue(self, shopper: int) -> Numbers:
        """What each product earns in the mean if the shopper sees it, in cents. Shape (products,)."""
        utilities = self.utilities(shopper)
        revenue: Numbers = expit(utilities - _CLICK_AT) * expit(utilities - _BUY_AT) * self.prices
        return revenue

    def choose(self, shopper: int, visit: int, ids: Sequence[str]) -> Choice:
        """What a shopper does with a list at a visit: always the same with the same list."""
        utilities = self.utilities(shopper)[self.indices(ids)]
        chance = np.random.default_rng((self._seed, shopper, visit)).random((4, len(ids)))
        seen = chance[0] < examination(len(ids))
        clicked = seen & (chance[1] < expit(utilities - _CLICK_AT))
        bought = clicked & (chance[2] < expit(utilities - _BUY_AT))
        return Choice(seen, clicked, bought | (clicked & (chance[3] < _CART_SHARE)), bought)

    def value(self, shopper: int, ids: Sequence[str]) -> float:
        """What a visit with a list earns in the mean, in cents."""
        return float(examination(len(ids)) @ self.revenue(shopper)[self.indices(ids)])

    def explored_value(self, shopper: int, ids: Sequence[str], following: Sequence[str], share: float) -> float:
        """The value of a list whose positions each show, with the probability of `share`, one of those that follow."""
        if not following:
            return self.value(shopper, ids)
        drawn = float(self.revenue(shopper)[self.indices(following)].mean() * examination(len(ids)).sum())
        return (1 - share) * self.value(shopper, ids) + share * drawn

    def random_value(self, shopper: int, size: int) -> float:
        """The value of a list of products that are drawn at random."""
        return float(self.revenue(shopper).mean() * examination(size).sum())

    def best_value(self, shopper: int, size: int) -> float:
        """The value of the best list that there is."""
        best = np.sort(self.revenue(shopper))[::-1][:size]
        return float(examination(len(best)) @ best)


def examination(size: int) -> Numbers:
    """The probability that a shopper looks at each position of a list. Shape (size,)."""
    probabilities: Numbers = np.arange(1.0, size + 1) ** -POSITION_BIAS
    return probabilities
