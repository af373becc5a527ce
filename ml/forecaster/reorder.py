"""Reordering under periodic review with lost sales: order-up-to levels from distributions of demand, and the simulation of a policy.

The policy is (R, S): every R days, order up to S (Silver, Pyke and Thomas, "Inventory and Production Management in Supply Chains", 4th
edition, 2017, chapter 6). S is the least level at which the expected shortage of a cycle is the share of its demand that may go unmet. With
lost sales instead of backorders this is an upper bound that is close for fill rates of 90 % and more (Bijvank and Vis, "Lost-sales
inventory theory: a review", European Journal of Operational Research 215, 2011).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Floats
from ml.forecaster.period_sums import daily_deviations, relative_errors
from ml.forecaster.periods import WEEK
from ml.forecaster.quantiles import normal_score

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
    return np.maximum(mean.sum(axis=1)[:, None] + deviation[:, None] * relative, 0.0)


def order_up_to_levels(protected: Floats, lead: Floats, cycle: Floats, fill_rate: float) -> Floats:
    """The order-up-to level of each product in whole units, shape (n,).

    protected, lead: outcomes of the demand during lead time and review period, and during the lead time alone, shape (n, outcomes)
    cycle: the mean demand of a review period, shape (n,)
    fill_rate: the share of the demand to meet, 0 to 1
    """
    allowed = (1 - fill_rate) * cycle
    low, high = np.full(len(cycle), -1.0), np.ceil(protected.max(axis=1))
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        short = _mean_excess(protected, middle) - _mean_excess(lead, middle) > allowed
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return high


def by_the_book(recent: Floats, days: int, fill_rate: float) -> Floats:
    """Order-up-to levels of the seasonal naive forecast with a safety stock of so many standard deviations, shape (n,).

    recent: the sales of the last weeks, shape (n, d), of which the last seven days are the forecast
    days: of lead time and review period
    """
    error = recent[:, WEEK:] - recent[:, :-WEEK]
    naive = recent[:, -WEEK:][:, np.arange(days) % WEEK].sum(axis=1)
    return np.ceil(np.maximum(naive + normal_score(fill_rate) * error.std(axis=1) * np.sqrt(days), 0.0))


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


def _mean_excess(outcomes: Floats, level: Floats) -> Floats:
    """By how much demand exceeds a level in the mean, shape (n,)."""
    excess: Floats = np.maximum(outcomes - level[:, None], 0.0).mean(axis=1)
    return excess
