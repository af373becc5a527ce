"""Reordering by a forecaster: order-up-to levels for its products, and the simulation of the policy on the days that were held back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml.forecaster.accuracy import HELD_BACK, WINDOW
from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.forecasts import UNITS_METRIC, Scope
from ml.forecaster.model import Forecaster
from ml.forecaster.periods import WEEK
from ml.forecaster.reorder import Demand, Outcome, by_the_book, measure_inflation, order_up_to_levels, simulate, sum_demand
from ml.forecaster.tables import Tables

# The weeks before a day from which the safety stock by the book is computed.
_RECENT_DAYS = 8 * WEEK


@dataclass(frozen=True)
class Policy:
    """When orders are placed and arrive, and what is promised."""

    lead_days: int
    review_days: int
    fill_rate: float
    """The share of the demand to meet, more than 0 and less than 1."""

    @property
    def days(self) -> int:
        """From an order to the arrival of the next one: what an order has to last for."""
        return self.lead_days + self.review_days


@dataclass(frozen=True)
class Plan:
    """The policy for n products."""

    mean: Floats
    """The mean demand of each day to come, shape (n, HORIZON)."""
    lead_demand: Demand
    """The demand during the lead time."""
    levels: Floats
    """The order-up-to levels in units, shape (n,)."""


@dataclass(frozen=True)
class PolicyBacktest:
    """What a policy would have achieved on the days held back, with two forecasts."""

    forecast: Outcome
    seasonal_naive: Outcome
    product_count: int


def demand_inflation(model: Forecaster) -> Floats:
    """What `reorder.measure_inflation` finds on all days held back, shape (lengths,): the same for all plans of a model."""
    return measure_inflation(*_held_back(_tables(model)))


def make_plan(model: Forecaster, products: Integers, policy: Policy, inflation: Floats, factors: Floats) -> Plan:
    """The plan for products, by their indices among the products of the model.

    inflation: as from `demand_inflation`
    factors: what their units are multiplied by on each day to come, shape (n, HORIZON)
    """
    tables = _tables(model)
    mean = tables.mean_units[tables.aggregate_count + products] * factors
    quantiles = tables.quantiles[2 * tables.aggregate_count + products, : policy.days] * factors[:, : policy.days, None]
    lead, protected = (sum_demand(mean[:, :days], quantiles[:, :days], inflation) for days in (policy.lead_days, policy.days))
    return Plan(mean, lead, order_up_to_levels(protected, policy.lead_days, policy.review_days, policy.fill_rate))


def backtest_policy(model: Forecaster, policy: Policy) -> PolicyBacktest:
    """Simulates the policy on the days held back. On each morning it knows the sales and the forecast as of the window's origin."""
    tables = _tables(model)
    units = tables.units[tables.aggregate_count :].astype(np.float64)
    demand = units[:, -HELD_BACK:]

    def book(day: int) -> Floats:
        known = units[:, : units.shape[1] - HELD_BACK + day]
        return by_the_book(known[:, -_RECENT_DAYS:], policy.days, policy.fill_rate)

    outcomes = [simulate(demand, policy.lead_days, policy.review_days, level) for level in (_forecast_levels(tables, policy), book)]
    return PolicyBacktest(outcomes[0], outcomes[1], len(demand))


def _forecast_levels(tables: Tables, policy: Policy) -> Callable[[int], Floats]:
    """The order-up-to levels, shape (n,), on the morning of each day held back."""
    demand, mean, quantiles = _held_back(tables)
    # The errors of sums are those of the other windows: a window is not to know its own.
    inflation = []
    for start in range(0, HELD_BACK, WINDOW):
        others = np.delete(np.arange(HELD_BACK), np.arange(start, start + WINDOW))
        inflation.append(measure_inflation(demand[:, others], mean[:, others], quantiles[:, others]))

    def levels(day: int) -> Floats:
        window = day // WINDOW
        end = (window + 1) * WINDOW
        days = np.arange(day, day + policy.days)
        # The next window's forecast is not known yet: the last week of this one stands for what follows.
        days = np.where(days < end, days, end - WEEK + (days - end) % WEEK)
        protected = sum_demand(mean[:, days], quantiles[:, days], inflation[window])
        return order_up_to_levels(protected, policy.lead_days, policy.review_days, policy.fill_rate)

    return levels


def _held_back(tables: Tables) -> tuple[Floats, Floats, Floats]:
    """The sales of products on the days held back, the mean forecast of each day and its quantiles, (n, d), (n, d) and (n, d, 7)."""
    rows = slice(2 * tables.aggregate_count, None)
    sold = tables.units[tables.aggregate_count :, -HELD_BACK:]
    return sold.astype(np.float64), tables.backtest_mean[rows].astype(np.float64), tables.backtest_quantiles[rows].astype(np.float64)


def _tables(model: Forecaster) -> Tables:
    return model.series(Scope(), UNITS_METRIC).tables
