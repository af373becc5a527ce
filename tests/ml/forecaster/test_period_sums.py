"""Intervals of sums over days, where the true distribution of the sums is known."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from ml.forecaster.arrays import Floats
from ml.forecaster.period_sums import measure_errors, sum_periods
from ml.forecaster.quantiles import LEVELS

DAYS, WEEK = 84, 7
ENDS = (0.1, 0.5, 0.9, 0.975)
# Units a day: products that hardly ever sell, which are most of a shop's, and others.
DEAD, SLOW, BRISK = 0.002, 0.5, 6.0

# Of an array of rates: a frozen distribution.
Kind = Callable[[Floats], stats.rv_discrete]


def poisson(rate: Floats) -> stats.rv_discrete:
    return stats.poisson(rate)


def negative_binomial(rate: Floats) -> stats.rv_discrete:
    """With a variance of three times the mean."""
    return stats.nbinom(rate / 2, 1 / 3)


def errors_of(kind: Kind, rates: Floats) -> Floats:
    """The errors of sums on simulated days, of products whose days were forecast by their true distribution."""
    daily = kind(rates)
    actual = daily.rvs((DAYS, len(rates)), random_state=np.random.default_rng(1)).T.astype(float)
    mean, quantiles = np.repeat(rates[:, None], DAYS, axis=1), np.repeat(quantiles_of(kind, rates)[:, None], DAYS, axis=1)
    errors: Floats = measure_errors(actual, mean, quantiles, np.zeros(len(rates), dtype=np.int64))[0]
    return errors


def quantiles_of(kind: Kind, rates: Floats) -> Floats:
    """At LEVELS, shape (rates, levels)."""
    quantiles: Floats = kind(rates).ppf(np.array(LEVELS)[:, None]).T
    return quantiles


def week_of(kind: Kind, rate: float, errors: Floats) -> Floats:
    """The quantiles at ENDS of a week's sales."""
    quantiles = np.repeat(quantiles_of(kind, np.array([rate])), WEEK, axis=0)
    return np.asarray(sum_periods(np.full(WEEK, rate), quantiles, np.array([0]), errors, ENDS).quantiles[0])


@pytest.mark.parametrize("kind", [poisson, negative_binomial])
@pytest.mark.parametrize("rate", [SLOW, BRISK])
def test_the_quantiles_of_a_week_are_those_of_the_true_distribution(kind: Kind, rate: float) -> None:
    errors = errors_of(kind, np.repeat([DEAD, SLOW, BRISK], [600, 200, 200]))
    found, true = week_of(kind, rate, errors), kind(np.array([rate * WEEK])).ppf(np.array(ENDS))
    assert found == pytest.approx(true, abs=1.0 + 0.1 * true[-1])


def test_products_that_hardly_sell_do_not_widen_the_intervals_of_others() -> None:
    alone, beside = (errors_of(poisson, np.repeat([DEAD, BRISK], [dead, 200])) for dead in (1, 2000))
    assert week_of(poisson, BRISK, beside) == pytest.approx(week_of(poisson, BRISK, alone), rel=0.03)


def test_the_week_of_a_product_that_hardly_sells_is_most_likely_zero() -> None:
    errors = errors_of(poisson, np.repeat([DEAD, BRISK], [2000, 200]))
    assert week_of(poisson, DEAD, errors)[-1] < 1


def test_intermittent_demand_in_lots_is_covered_one_sided() -> None:
    # On one day in ten somebody orders about twelve.
    random, count = np.random.default_rng(2), 400
    lots = random.binomial(1, 0.1, (count, 2 * DAYS)) * (1 + random.poisson(11, (count, 2 * DAYS))).astype(float)
    once = np.quantile(random.binomial(1, 0.1, 100_000) * (1 + random.poisson(11, 100_000)), LEVELS)
    past, future = lots[:, :DAYS], lots[:, DAYS:]
    mean, quantiles = np.full((count, DAYS), 1.2), np.broadcast_to(once, (count, DAYS, len(LEVELS)))
    errors = measure_errors(past, mean, quantiles, np.zeros(count, dtype=np.int64))[0]
    ends = sum_periods(mean[0], quantiles[0], np.arange(0, DAYS, WEEK), errors, (0.9, 0.975)).quantiles[0]
    weeks = future.reshape(count, -1, WEEK).sum(axis=2)
    assert [np.mean(weeks <= end) for end in ends] == pytest.approx([0.9, 0.975], abs=0.03)


def test_the_sums_of_revenue_are_those_of_units_times_the_price() -> None:
    errors, rate, price = errors_of(poisson, np.repeat([SLOW, BRISK], 200)), SLOW, 12.5
    quantiles = np.repeat(quantiles_of(poisson, np.array([rate])), WEEK, axis=0)
    revenue = sum_periods(np.full(WEEK, rate * price), quantiles * price, np.array([0]), errors, ENDS, price).quantiles[0]
    assert revenue == pytest.approx(week_of(poisson, rate, errors) * price)
