"""Means that add up: products to categories, categories to the shop, countries to the shop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.panel import Numbers

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Levels:
    """One amount for each place and day: `shop` (d,), `categories` (C, d), `countries` (K, d), `products` (n, d)."""

    shop: Numbers
    categories: Numbers
    countries: Numbers
    products: Numbers


@dataclass(frozen=True)
class Weights:
    """How much the direct forecast of the shop, and of its categories, counts against the sum of what is below it, 0 to 1."""

    shop: float
    category: float


def reconcile(direct: Levels, category: NDArray[np.int64], weights: Weights) -> Levels:
    """Levels that add up. Above, direct forecasts are blended with the sums below; the change is then pushed down in proportion.

    category: the place of each product's category, shape (n,)
    """
    sums = summed(direct.products, category, len(direct.categories))
    # What nothing below could carry cannot be pushed down: there the sum below stands.
    blended = np.where(sums > 0, weights.category * direct.categories + (1 - weights.category) * sums, 0.0)
    whole = blended.sum(axis=0)
    shop = np.where(whole > 0, weights.shop * direct.shop + (1 - weights.shop) * whole, 0.0)
    products = direct.products * share(blended * share(shop, whole), sums)[category]
    categories = summed(products, category, len(direct.categories))
    shop = categories.sum(axis=0)
    countries = direct.countries * share(shop, direct.countries.sum(axis=0))
    return Levels(shop, categories, countries, products)


def learn(direct: Levels, actual: Levels, category: NDArray[np.int64]) -> Weights:
    """The weights that erred least on days that have come, drawn half of the way to an equal blend, for those days were few."""
    sums = summed(direct.products, category, len(direct.categories))
    by_category = best(direct.categories, sums, actual.categories)
    blended = by_category * direct.categories + (1 - by_category) * sums
    return Weights(best(direct.shop, blended.sum(axis=0), actual.shop), by_category)


def best(direct: Numbers, below: Numbers, actual: Numbers) -> float:
    """The weight of the direct forecast that errs least in squares, half of the way from one half."""
    errors = [float(((weight * direct + (1 - weight) * below - actual) ** 2).sum()) for weight in WEIGHTS]
    return (0.5 + WEIGHTS[int(np.argmin(errors))]) / 2


def summed(products: Numbers, category: NDArray[np.int64], count: int) -> Numbers:
    """The sums of the products of each category, shape (C, d)."""
    sums = np.zeros((count, products.shape[1]))
    np.add.at(sums, category, products)
    return sums


def share(wanted: Numbers, found: Numbers) -> Numbers:
    """By how much what was found is to be multiplied; 0 where there is nothing."""
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)
