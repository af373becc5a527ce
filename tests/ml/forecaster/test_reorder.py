"""Order-up-to levels and the simulation of a policy, on shops whose demand is known."""

import numpy as np
import pytest

from ml.forecaster.arrays import Floats
from ml.forecaster.reorder import OUTCOME_LEVELS, by_the_book, order_up_to_levels, simulate

WEEKDAYS = np.array([1.5, 1.0, 1.0, 1.0, 1.2, 0.6, 0.0])


def paths(rates: Floats, days: int, seed: int, dispersion: float) -> Floats:
    """Negative binomial demand with a weekly pattern, shape (products, days). dispersion: variance over mean, more than 1"""
    random = np.random.default_rng(seed)
    mean = rates[:, None] * WEEKDAYS[np.arange(days) % 7]
    sold = random.negative_binomial(np.maximum(mean, 1e-9) / (dispersion - 1), 1 / dispersion, mean.shape)
    return np.where(mean > 0, sold, 0).astype(np.float64)


def outcomes(rates: Floats, days: int, dispersion: float) -> Floats:
    """The true distribution of the demand of so many days from a Monday."""
    many = np.array([paths(rates, days, seed, dispersion).sum(axis=1) for seed in range(2000)])
    found: Floats = np.quantile(many, OUTCOME_LEVELS, axis=0).T
    return found


@pytest.mark.parametrize(("lead", "review"), [(1, 7), (7, 7), (14, 7), (7, 14)])
@pytest.mark.parametrize("promised", [0.85, 0.9, 0.95, 0.98])
def test_the_promised_fill_rate_is_reached_within_two_points(promised: float, lead: int, review: int) -> None:
    rates, dispersion = np.geomspace(2, 40, 12), 3.0
    levels = order_up_to_levels(outcomes(rates, lead + review, dispersion), lead, review, promised)
    achieved = simulate(paths(rates, 7 * 300, 9, dispersion), lead, review, lambda _day: levels).fill_rate
    assert achieved == pytest.approx(promised, abs=0.02)


def test_a_certain_demand_is_met_almost_without_a_unit_too_many() -> None:
    [level] = order_up_to_levels(np.full((1, 200), 50.0), 3, 7, 0.99)
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
        return order_up_to_levels(outcomes(rates, lead + 7, 2.0), lead, 7, promised)

    assert np.all(levels(0.98, 7) > levels(0.9, 7))
    assert np.all(levels(0.9, 14) > levels(0.9, 7))


def test_the_book_orders_last_week_again_and_a_safety_stock() -> None:
    steady = np.tile(WEEKDAYS * 10, (1, 8))
    assert by_the_book(steady, 14, 0.95) == [np.ceil(WEEKDAYS.sum() * 20)]
    assert by_the_book(paths(np.array([10.0]), 56, 1, 3.0), 14, 0.95) > by_the_book(paths(np.array([10.0]), 56, 1, 3.0), 14, 0.5)
