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

from ml.forecaster.arrays import Floats
from ml.forecaster.period_sums import daily_deviations, relative_errors
from ml.forecaster.periods import WEEK
from ml.forecaster.quantiles import normal_score

# The shapes of gamma distributions between which levels are interpolated: from a few large orders to a demand that hardly varies.
_SHAPES = np.geomspace(0.02, 2000, 40)
# A simulation is of so many runs of so many periods, the first of which are not counted.
_RUNS, _PERIODS, _WARM_UP = 300, 40, 12
_BISECTIONS = 14
_SEED = 7
# Equally likely outcomes that stand for a distribution.
_OUTCOMES = 200
OUTCOME_LEVELS = tuple((index + 0.5) / _OUTCOMES for index in range(_OUTCOMES))


@dataclass(frozen=True)
class Outcome:
    """What a policy achieves in a simulation of n products."""

    fill_rate: float
    """The share of the units demanded that are met from stock; NaN without demand."""
    mean_stock: float
    """The stock on hand at the end of a day, in units of all products together."""


def demand_outcomes(mean: Floats, quantiles: Floats, errors: Floats) -> Floats:
    """Equally likely sums of the demand of consecutive days, in order, shape (n, outcomes).

    mean, quantiles: of each day, shape (n, d) and (n, d, 7); d is positive
    errors: of the group of the series, as from `period_sums.measure_errors`, shape (lengths, levels)
    """
    deviation = np.sqrt((daily_deviations(quantiles) ** 2).sum(axis=1))
    [relative] = relative_errors(errors, np.array([mean.shape[1]]), OUTCOME_LEVELS)
    outcomes: Floats = np.maximum(mean.sum(axis=1)[:, None] + deviation[:, None] * relative, 0.0)
    return outcomes


def order_up_to_levels(protected: Floats, lead_days: int, review_days: int, fill_rate: float) -> Floats:
    """The order-up-to level of each product in whole units, shape (n,).

    protected: outcomes of the demand during lead time and review period, shape (n, outcomes)
    fill_rate: the share of the demand to meet, more than 0 and less than 1
    """
    mean, variance = protected.mean(axis=1), protected.var(axis=1)
    shape = np.divide(mean**2, variance, out=np.full_like(mean, _SHAPES[-1]), where=variance > 0)
    relative = np.interp(np.log(np.maximum(shape, _SHAPES[0])), np.log(_SHAPES), _relative_levels(lead_days, review_days, fill_rate))
    # Rounded before, as a last bit too many would cost a unit.
    levels: Floats = np.ceil(np.round(mean * relative, 6))
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
