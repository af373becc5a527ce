"""Reordering under periodic review with lost sales: order-up-to levels from distributions of demand, and the simulation of a policy.

The policy is (R, S): every R days, order up to S (Silver, Pyke and Thomas, "Inventory and Production Management in Supply Chains", 4th
edition, 2017, chapter 6). The demand is a gamma process with the mean and the variance of the forecast (Burgin, "The gamma distribution
and inventory control", Operational Research Quarterly 26, 1975). What is lost when a product is sold out does not come back, for which
there is no formula (Bijvank and Vis, "Lost-sales inventory theory: a review", European Journal of Operational Research 215, 2011): the
level is found by simulation. It depends on the shape of the distribution alone, so that few simulations serve all products.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaincc

from ml.forecaster.arrays import Floats
from ml.forecaster.period_sums import LENGTHS, daily_variances
from ml.forecaster.periods import WEEK
from ml.forecaster.quantiles import normal_score

# The shapes of gamma distributions between which levels are interpolated: from a few large orders to a demand that hardly varies.
_SHAPES = np.geomspace(0.02, 2000, 40)
# A simulation is of so many runs of so many periods, the first of which are not counted.
_RUNS, _PERIODS, _WARM_UP = 300, 40, 12
_BISECTIONS = 14
_SEED = 7
# The errors of sums are compared with a normal distribution where it has this share on each side.
_TAIL = 0.1
# Sums count of which so many units, about, are expected.
_SOLD = 1.0


@dataclass(frozen=True)
class Demand:
    """The demand of consecutive days, of n products."""

    mean: Floats
    """In units, shape (n,)."""
    variance: Floats
    """Shape (n,)."""


@dataclass(frozen=True)
class Outcome:
    """What a policy achieves in a simulation of n products."""

    fill_rate: float
    """The share of the units demanded that are met from stock; NaN without demand."""
    mean_stock: float
    """The stock on hand at the end of a day, in units of all products together."""


def measure_inflation(actual: Floats, mean: Floats, quantiles: Floats) -> Floats:
    """How many times the variance of sums is what the forecasts of days, taken as independent, let expect, for each of LENGTHS.

    From the error that a fifth of all sums exceed, which single products that came back or ended do not move.

    actual, mean: the sales of past days in units, and their forecast, shape (n, d)
    quantiles: of the same days, shape (n, d, 7)
    """
    variance = daily_variances(mean, quantiles)
    inflation = np.ones(len(LENGTHS))
    for column, length in enumerate(LENGTHS):
        shape = (len(actual), actual.shape[1] // length, length)
        used = slice(0, shape[1] * length)
        error, expected = (array[:, used].reshape(shape).sum(axis=2) for array in (actual - mean, variance))
        # Of products that hardly sell, an error is either nothing or without bound.
        if (sold := expected >= _SOLD).any():
            relative = np.abs(error[sold]) / np.sqrt(expected[sold])
            inflation[column] = (np.quantile(relative, 1 - 2 * _TAIL) / normal_score(1 - _TAIL)) ** 2
    return inflation


def sum_demand(mean: Floats, quantiles: Floats, inflation: Floats) -> Demand:
    """The demand of consecutive days together.

    mean, quantiles: of each day, shape (n, d) and (n, d, 7)
    inflation: as from `measure_inflation`, shape (lengths,)
    """
    relative = np.interp(mean.shape[1], LENGTHS, inflation)
    return Demand(mean.sum(axis=1), daily_variances(mean, quantiles).sum(axis=1) * relative)


def exceedance(demand: Demand, units: Floats) -> Floats:
    """The probability that the demand is larger than so many units, shape (n,)."""
    known = (demand.variance > 0) & (demand.mean > 0)
    mean, variance = np.where(known, demand.mean, 1.0), np.where(known, demand.variance, 1.0)
    probability = gammaincc(mean**2 / variance, np.maximum(units, 0.0) * mean / variance)
    return np.where(known, probability, demand.mean > units)


def order_up_to_levels(demand: Demand, lead_days: int, review_days: int, fill_rate: float) -> Floats:
    """The order-up-to level of each product in whole units, shape (n,).

    demand: during lead time and review period
    fill_rate: the share of the demand to meet, more than 0 and less than 1
    """
    certain = np.full_like(demand.mean, _SHAPES[-1])
    shape = np.divide(demand.mean**2, demand.variance, out=certain, where=demand.variance > 0)
    relative = np.interp(np.log(np.maximum(shape, _SHAPES[0])), np.log(_SHAPES), _relative_levels(lead_days, review_days, fill_rate))
    # Rounded before, as a last bit too many would cost a unit.
    levels: Floats = np.ceil(np.round(demand.mean * relative, 6))
    return levels


def by_the_book(recent: Floats, days: int, fill_rate: float) -> Floats:
    """Order-up-to levels of the seasonal naive forecast with a safety stock of so many standard deviations, shape (n,).

    recent: the sales of the last weeks, shape (n, d), of which the last seven days are the forecast
    days: of lead time and review period
    """
    error = recent[:, WEEK:] - recent[:, :-WEEK]
    naive = recent[:, -WEEK:][:, np.arange(days) % WEEK].sum(axis=1)
    levels: Floats = np.ceil(np.maximum(naive + normal_score(fill_rate) * error.std(axis=1) * np.sqrt(days), 0.0))
    return levels


def simulate(demand: Floats, lead_days: int, review_days: int, level: Callable[[int], Floats]) -> Outcome:
    """Simulates the policy on the demand of n products, shape (n, d). What is not in stock is lost. The first order has just arrived.

    lead_days: from an order, in the morning, to its arrival in the morning
    level: the order-up-to levels, shape (n,), from what is known on the morning of a day
    """
    count, days = demand.shape
    stock, arriving = np.asarray(level(0), dtype=np.float64).copy(), np.zeros((count, days + lead_days))
    met, held = 0.0, 0.0
    for day in range(days):
        stock += arriving[:, day]
        if day % review_days == 0:
            position = stock + arriving[:, day + 1 :].sum(axis=1)
            arriving[:, day + lead_days] += np.maximum(level(day) - position, 0.0)
        sold = np.minimum(stock, demand[:, day])
        stock -= sold
        met += sold.sum()
        held += stock.sum()
    total = demand.sum()
    return Outcome(float(met / total) if total else float("nan"), float(held / days))


@lru_cache(maxsize=64)
def _relative_levels(lead_days: int, review_days: int, fill_rate: float) -> Floats:
    """The order-up-to level for each of _SHAPES, relative to the mean demand during lead time and review period, shape (shapes,)."""
    pending, before = divmod(lead_days, review_days)
    random = np.random.default_rng(_SEED)
    # The demand of each period before and after the arrival of an order.
    parts = np.array([before, review_days - before]) / (lead_days + review_days)
    shape = _SHAPES[:, None] * parts
    demand = random.gamma(np.maximum(shape, 1e-12)[:, None, None, :], 1 / _SHAPES[:, None, None, None], (len(_SHAPES), _PERIODS, _RUNS, 2))
    low, high = np.zeros(len(_SHAPES)), np.full(len(_SHAPES), 2.0)
    while np.any(short := _fill_rates(demand, high, pending) < fill_rate):
        high[short] *= 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        short = _fill_rates(demand, middle, pending) < fill_rate
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return high


def _fill_rates(demand: Floats, level: Floats, pending: int) -> Floats:
    """The fill rates of runs, shape (shapes,).

    demand: shape (shapes, periods, runs, 2)
    level: shape (shapes,)
    pending: the periods that an order takes, besides the part of one
    """
    stock = np.repeat(level[:, None], demand.shape[2], axis=1)
    orders = deque([np.zeros_like(stock)] * pending)
    met = np.zeros(len(level))
    for period in range(demand.shape[1]):
        orders.append(level[:, None] - stock - sum(orders))
        # Without a part before it, the arrival comes first.
        first = np.minimum(stock, demand[:, period, :, 0])
        stock = stock - first + orders.popleft()
        second = np.minimum(stock, demand[:, period, :, 1])
        stock = stock - second
        if period >= _WARM_UP:
            met += (first + second).sum(axis=1)
    rates: Floats = met / demand[:, _WARM_UP:].sum(axis=(1, 2, 3))
    return rates
