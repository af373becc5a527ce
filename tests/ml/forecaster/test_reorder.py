"""Order-up-to levels and the simulation of a policy, on shops whose demand is known."""

import numpy as np
import pytest

from ml.forecaster.arrays import Floats
from ml.forecaster.period_sums import LENGTHS
from ml.forecaster.quantiles import LEVELS
from ml.forecaster.reorder import Demand, by_the_book, exceedance, measure_inflation, order_up_to_levels, simulate, sum_demand

WEEKDAYS = np.array([1.5, 1.0, 1.0, 1.0, 1.2, 0.6, 0.0])


def paths(rates: Floats, days: int, seed: int, dispersion: float) -> Floats:
    """Negative binomial demand with a weekly pattern, shape (products, days). dispersion: variance over mean, more than 1"""
    random = np.random.default_rng(seed)
    mean = rates[:, None] * WEEKDAYS[np.arange(days) % 7]
    sold = random.negative_binomial(np.maximum(mean, 1e-9) / (dispersion - 1), 1 / dispersion, mean.shape)
    return np.where(mean > 0, sold, 0).astype(np.float64)


def true_demand(rates: Floats, days: int, dispersion: float) -> Demand:
    """The demand of so many days from a Monday."""
    many = np.array([paths(rates, days, seed, dispersion).sum(axis=1) for seed in range(2000)])
    return Demand(many.mean(axis=0), many.var(axis=0))


@pytest.mark.parametrize(("lead", "review"), [(1, 7), (7, 7), (14, 7), (7, 14)])
@pytest.mark.parametrize("promised", [0.85, 0.9, 0.95, 0.98])
def test_the_promised_fill_rate_is_reached_within_two_points(promised: float, lead: int, review: int) -> None:
    rates, dispersion = np.geomspace(2, 40, 12), 3.0
    levels = order_up_to_levels(true_demand(rates, lead + review, dispersion), lead, review, promised)
    achieved = simulate(paths(rates, 7 * 300, 9, dispersion), lead, review, lambda _day: levels).fill_rate
    assert achieved == pytest.approx(promised, abs=0.02)


def test_a_certain_demand_is_met_almost_without_a_unit_too_many() -> None:
    [level] = order_up_to_levels(Demand(np.array([50.0]), np.array([0.0])), 3, 7, 0.99)
    assert 49 <= level <= 52
    assert simulate(np.full((1, 70), 5.0), 3, 7, lambda _day: np.array([50.0])).fill_rate == 1
    assert simulate(np.full((1, 70), 5.0), 3, 7, lambda _day: np.array([49.0])).fill_rate < 1


def test_what_is_not_in_stock_is_lost() -> None:
    # Two units on the first day, and again on the fourth: two of three are sold each time, and nothing is made up for.
    demand = np.array([[3.0, 0, 0, 3.0, 0, 0]])
    outcome = simulate(demand, 1, 3, lambda _day: np.array([2.0]))
    assert outcome.fill_rate == pytest.approx(2 / 6)


def test_levels_rise_with_the_promise_and_the_lead_time() -> None:
    rates = np.array([5.0, 20.0])

    def levels(promised: float, lead: int) -> Floats:
        return order_up_to_levels(true_demand(rates, lead + 7, 2.0), lead, 7, promised)

    assert np.all(levels(0.98, 7) > levels(0.9, 7))
    assert np.all(levels(0.9, 14) > levels(0.9, 7))


def test_the_book_orders_last_week_again_and_a_safety_stock() -> None:
    steady = np.tile(WEEKDAYS * 10, (1, 8))
    assert by_the_book(steady, 14, 0.95) == [np.ceil(WEEKDAYS.sum() * 20)]
    assert by_the_book(paths(np.array([10.0]), 56, 1, 3.0), 14, 0.95) > by_the_book(paths(np.array([10.0]), 56, 1, 3.0), 14, 0.5)


def test_the_variance_of_a_sum_is_measured_where_days_vary_together() -> None:
    random = np.random.default_rng(3)
    rates = np.repeat([20.0, 60.0], 300)
    # Each product has good weeks and bad ones, which forecasts of days do not know.
    weeks = np.repeat(random.gamma(10, 0.1, (600, 12)), 7, axis=1)
    actual = random.poisson(rates[:, None] * weeks).astype(np.float64)
    mean = np.repeat(rates[:, None], 84, axis=1)
    quantiles = np.quantile(actual.reshape(2, -1), LEVELS, axis=1).T.repeat(300, axis=0)[:, None, :].repeat(84, axis=1)
    demand = sum_demand(mean[:, :14], quantiles[:, :14], measure_inflation(actual, mean, quantiles))
    sums = actual.reshape(600, 6, 14).sum(axis=2)
    assert demand.mean == pytest.approx(14 * rates)
    for one in (slice(0, 300), slice(300, 600)):
        assert demand.variance[one].mean() == pytest.approx(sums[one].var(), rel=0.25)


def test_a_product_that_came_back_or_ended_does_not_raise_what_others_order() -> None:
    random = np.random.default_rng(4)
    actual = random.poisson(10.0, (100, 84)).astype(np.float64)
    mean, quantiles = np.full((100, 84), 10.0), np.tile(np.quantile(actual, LEVELS), (100, 84, 1))
    alone = measure_inflation(actual, mean, quantiles)
    assert alone == pytest.approx(np.ones(len(LENGTHS)), rel=0.3)
    # As many again that were thought dead, of which one in ten sells a few units, and one that was thought to go on.
    sold = np.where(np.arange(100)[:, None] % 10 == 0, random.poisson(0.1, (100, 84)), 0)
    mean, quantiles = np.vstack([mean, np.full((100, 84), 1e-6)]), np.vstack([quantiles, np.full((100, 84, 7), 1e-7)])
    ended = (np.vstack([mean, np.full((1, 84), 70.0)]), np.vstack([quantiles, np.full((1, 84, 7), 70.0)]))
    found = measure_inflation(np.vstack([actual, sold, np.zeros((1, 84))]), *ended)
    # An error of a unit more or less is a fifth of the variance here.
    assert found == pytest.approx(alone, rel=0.25)


def test_the_chance_of_running_out_is_that_of_the_distribution() -> None:
    units = np.array([10.0, 25.0, 60.0, 0.0, -5.0])
    demand = Demand(np.full(5, 20.0), np.full(5, 100.0))
    random = np.random.default_rng(5).gamma(4, 5, 200_000)
    assert exceedance(demand, units) == pytest.approx([(random > each).mean() for each in units], abs=0.01)
    assert exceedance(Demand(np.array([0.0, 3.0, 3.0]), np.zeros(3)), np.array([0.0, 2.0, 4.0])).tolist() == [0.0, 1.0, 0.0]
