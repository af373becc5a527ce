"""What if: the effect of prices and closures on forecasts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.elasticity import Elasticities, estimate
from ml.forecaster.forecasts import UNITS_METRIC, Metric, Scope
from ml.forecaster.model import HORIZON, Forecaster

# The quantiles of the elasticities at the ends of the range of an effect.
RANGE = (0.025, 0.975)
_ROUNDING = 1e-6


@dataclass(frozen=True)
class PriceChange:
    """A change of the price of some products on some days."""

    products: Integers
    """Indices among the products of the model."""
    days: slice
    """Among the days to come."""
    ratio: float
    """Of the new price to the usual one; positive."""


@dataclass(frozen=True)
class Effect:
    """The effect of a scenario on the forecast of a scope, at one quantile of the elasticities."""

    units: Floats
    """What the units of each day are multiplied by, shape (HORIZON,)."""
    revenue: Floats
    """What the revenue of each day is multiplied by, shape (HORIZON,)."""

    def of(self, metric: Metric) -> Floats:
        """The effect on a metric."""
        return self.units if metric == UNITS_METRIC else self.revenue


class Scenarios:
    """The effects of scenarios on the forecasts of a model, whose elasticities are estimated once."""

    def __init__(self, model: Forecaster) -> None:
        self._model = model
        self._tables = model.series(Scope(), UNITS_METRIC).tables
        first = self._tables.aggregate_count
        units, revenue = (array[first:].astype(np.float64) for array in (self._tables.units, self._tables.revenue))
        self.is_sold: Booleans = np.any(units > 0, axis=1)
        """Whether each product was ever sold, shape (n,)."""
        self._category = self._tables.category[2 * first :]
        self._elasticities: Elasticities = estimate(units, revenue, self._category)

    def effect(self, scope: Scope, changes: Sequence[PriceChange], open_days: Floats, level: float = 0.5) -> Effect:
        """The effect on a scope. Raises `ScopeNotFound`.

        open_days: 0 for a day on which the scenario closes the shop, else 1, shape (HORIZON,)
        level: of the quantile of the elasticities; a higher one is a weaker effect
        """
        log_price = self.log_prices(changes)
        members = self._members(scope)
        units = self._elasticities.factors(log_price, level)[members] * open_days
        first, price = self._tables.aggregate_count, np.exp(log_price[members])
        # The sum of the means of the products is that of the scope; every country has its share of each product.
        return Effect(
            _factor_of_sum(self._tables.mean_units[first:][members], units, open_days),
            _factor_of_sum(self._tables.mean_revenue[first:][members], units * price, open_days),
        )

    def log_prices(self, changes: Sequence[PriceChange]) -> Floats:
        """The logarithm of each product's price relative to the usual one, shape (n, HORIZON). Changes multiply."""
        log_price = np.zeros((len(self._category), HORIZON))
        for change in changes:
            log_price[change.products, change.days] += np.log(change.ratio)
        return log_price

    def unseen(self, changes: Sequence[PriceChange]) -> tuple[int, int]:
        """How many products have another price, and of how many no week has seen such a price."""
        log_price = self.log_prices(changes)
        changed = (log_price != 0).any(axis=1)
        lowest, highest = np.log(self._elasticities.lowest_price), np.log(self._elasticities.highest_price)
        outside = (log_price.min(axis=1) < lowest - _ROUNDING) | (log_price.max(axis=1) > highest + _ROUNDING)
        return int(changed.sum()), int((changed & outside).sum())

    def _members(self, scope: Scope) -> Integers:
        """The products of a scope; of a country, all."""
        series = self._model.series(scope, UNITS_METRIC)
        if series.is_product:
            return np.array([series.index - self._tables.aggregate_count])
        if scope.kind == "category":
            return np.flatnonzero(self._category == self._tables.category[series.index])
        return np.arange(len(self._category))


def _factor_of_sum(means: Floats, factors: Floats, empty: Floats) -> Floats:
    """The factor of the sum of products, shape (HORIZON,). empty: the factor of days without a forecast"""
    total = means.sum(axis=0)
    found: Floats = np.divide((means * factors).sum(axis=0), total, out=empty.copy(), where=total > 0)
    return found
