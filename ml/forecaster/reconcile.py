"""Reconciliation: means that add up, from products to categories to the shop, and from countries to the shop."""

from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Floats, Integers

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Levels:
    """Amounts of d days at each level of the hierarchy."""

    shop: Floats
    """Shape (d,)."""
    categories: Floats
    """Shape (C, d)."""
    countries: Floats
    """Shape (K, d)."""
    products: Floats
    """Shape (n, d)."""

    def rows(self) -> Floats:
        """The amounts of all scopes: the shop, categories, countries, products; shape (1 + C + K + n, d)."""
        return np.concatenate([self.shop[None], self.categories, self.countries, self.products])


@dataclass(frozen=True)
class Weights:
    """The weights, 0 to 1, of the direct forecasts of shop and categories against the sums of the level below."""

    shop: float
    category: float


def reconcile(direct: Levels, category: Integers, weights: Weights) -> Levels:
    """Blends the direct forecasts of upper levels with the sums of lower ones, then scales the lower levels to match.

    category: of each product, as an index, shape (n,)
    """
    sums = _sum_by_category(direct.products, category, len(direct.categories))
    # An amount cannot be distributed over products that are all zero: there the sum of zero stands.
    blended = np.where(sums > 0, weights.category * direct.categories + (1 - weights.category) * sums, 0.0)
    total = blended.sum(axis=0)
    shop = np.where(total > 0, weights.shop * direct.shop + (1 - weights.shop) * total, 0.0)
    products = direct.products * _scale(blended * _scale(shop, total), sums)[category]
    categories = _sum_by_category(products, category, len(direct.categories))
    shop = categories.sum(axis=0)
    countries = direct.countries * _scale(shop, direct.countries.sum(axis=0))
    return Levels(shop, categories, countries, products)


def fit_weights(direct: Levels, actual: Levels, category: Integers) -> Weights:
    """The weights with the least squared error on past days, shrunk half-way to an equal blend because those days are few."""
    sums = _sum_by_category(direct.products, category, len(direct.categories))
    by_category = _best_weight(direct.categories, sums, actual.categories)
    blended = by_category * direct.categories + (1 - by_category) * sums
    return Weights(_best_weight(direct.shop, blended.sum(axis=0), actual.shop), by_category)


def _best_weight(direct: Floats, sums: Floats, actual: Floats) -> float:
    errors = [float(((weight * direct + (1 - weight) * sums - actual) ** 2).sum()) for weight in WEIGHTS]
    return (0.5 + WEIGHTS[int(np.argmin(errors))]) / 2


def _sum_by_category(products: Floats, category: Integers, count: int) -> Floats:
    """Shape (C, d)."""
    sums = np.zeros((count, products.shape[1]))
    np.add.at(sums, category, products)
    return sums


def _scale(wanted: Floats, found: Floats) -> Floats:
    """The factor from what was found to what is wanted; 0 where nothing was found."""
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)
