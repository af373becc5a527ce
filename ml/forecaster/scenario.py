"""What changed prices and closed days make of forecasts: those of a scenario, and those that the calendar knows."""

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


class Adjustment:
    """What closed days and changed prices make of the forecasts of a model. The sums of the products stay those of every level."""

    def __init__(
        self, model: Forecaster, open_days: Floats, changes: Sequence[PriceChange] = (), products: tuple[Floats, Floats] | None = None
    ) -> None:
        """
        open_days: 0 for a closed day, else 1, shape (HORIZON,)
        products: what the units and what the price of each product are multiplied by, both of shape (n, HORIZON); by default 1
        """
        self._model = model
        self._tables = model.series(Scope(), UNITS_METRIC).tables
        self.open_days = open_days
        self.changes = changes
        self._products = products
        self._of_sums = dict[tuple[Scope, Metric], Floats]()

    def factors(self, scope: Scope, metric: Metric) -> Floats:
        """What the forecast of each day is multiplied by, shape (HORIZON,). Raises `ScopeNotFound`."""
        series = self._model.series(scope, metric)
        if self._products is None:
            return self.open_days
        if not series.is_product:
            if (scope, metric) not in self._of_sums:
                self._of_sums[scope, metric] = self._factors_of_sum(scope, series.index, metric, *self._products)
            return self._of_sums[scope, metric]
        units, prices = (of_all[series.index - self._tables.aggregate_count] for of_all in self._products)
        factors: Floats = units * self.open_days
        return factors if metric == UNITS_METRIC else factors * prices

    def product_units(self) -> Floats:
        """What the units of each product are multiplied by, shape (n, HORIZON)."""
        count = len(self._tables.mean_units) - self._tables.aggregate_count
        factors: Floats = (self._products[0] if self._products else np.ones((count, 1))) * self.open_days
        return factors

    def _factors_of_sum(self, scope: Scope, index: int, metric: Metric, units: Floats, prices: Floats) -> Floats:
        """The factors of the sum of products. Every country has its share of each product."""
        tables, first = self._tables, self._tables.aggregate_count
        members: Integers | slice = slice(None)
        if scope.kind == "category":
            members = np.flatnonzero(tables.category[2 * first :] == tables.category[index])
        means = (tables.mean_units if metric == UNITS_METRIC else tables.mean_revenue)[first:][members]
        products = units[members] if metric == UNITS_METRIC else units[members] * prices[members]
        total = means.sum(axis=0)
        share: Floats = np.divide((means * products).sum(axis=0), total, out=np.ones(HORIZON), where=total > 0)
        return share * self.open_days


class Scenarios:
    """What scenarios make of the forecasts of a model, whose elasticities are estimated once."""

    def __init__(self, model: Forecaster) -> None:
        self._model = model
        tables = model.series(Scope(), UNITS_METRIC).tables
        first = tables.aggregate_count
        units, revenue = (array[first:].astype(np.float64) for array in (tables.units, tables.revenue))
        self.is_sold: Booleans = np.any(units > 0, axis=1)
        """Whether each product was ever sold, shape (n,)."""
        self._elasticities: Elasticities = estimate(units, revenue, tables.category[2 * first :])

    def adjustment(self, changes: Sequence[PriceChange], open_days: Floats, level: float = 0.5) -> Adjustment:
        """What changes of price and closed days do.

        open_days: 0 for a day on which the scenario closes the shop, else 1, shape (HORIZON,)
        level: of the quantile of the elasticities; a higher one is a weaker effect
        """
        log_price = self.log_prices(changes)
        return Adjustment(self._model, open_days, changes, (self._elasticities.factors(log_price, level), np.exp(log_price)))

    def log_prices(self, changes: Sequence[PriceChange]) -> Floats:
        """The logarithm of each product's price relative to the usual one, shape (n, HORIZON). Changes multiply."""
        log_price = np.zeros((len(self.is_sold), HORIZON))
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
