"""Elasticities that are estimated on a simulated shop, where they are known."""

import numpy as np
import pytest

from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.elasticity import PRIOR_MEAN, Elasticities, estimate

CATEGORY: Integers = np.repeat(np.arange(4), 15)
WEEKS = 104


def simulated(seed: int, elasticity: Floats, dispersion: float = 2.0, changes: float = 0.25) -> tuple[Floats, Floats]:
    """Daily units and revenue of products whose prices change in one week of four. changes: how far, as a share of the price"""
    random = np.random.default_rng(seed)
    count = len(elasticity)
    season = 1 + 0.4 * np.sin(np.arange(WEEKS) * 2 * np.pi / 52)
    relative = np.where(random.random((count, WEEKS)) < 0.25, 1 - changes * random.random((count, WEEKS)), 1.0)
    price = np.repeat(random.uniform(1, 10, count)[:, None] * relative, 7, axis=1)
    rate = random.uniform(1, 8, count)[:, None] * np.repeat(season * relative ** elasticity[:, None], 7, axis=1)
    units = random.negative_binomial(rate / (dispersion - 1), 1 / dispersion).astype(np.float64)
    return units, units * price


def truth(seed: int) -> Floats:
    random = np.random.default_rng(seed)
    return np.minimum(random.normal(np.array([-0.5, -1.5, -2.0, -3.0])[CATEGORY], 0.3), 0.0)


def test_the_interval_covers_the_true_elasticity() -> None:
    covered, distances = [], []
    for seed in range(5):
        true = truth(seed)
        found = estimate(*simulated(seed, true), CATEGORY)
        covered.append(np.abs(found.mean - true) < 1.96 * found.deviation)
        distances.append(np.abs(found.mean - true))
    assert 0.92 < np.mean(covered) < 0.98
    assert np.mean(distances) < 0.35


def test_an_estimate_borrows_from_its_category_what_its_own_sales_do_not_say() -> None:
    true = truth(1)
    units, revenue = simulated(1, true)
    # The first product of the last category has one price.
    price = 5.0
    revenue[45] = units[45] * price
    found = estimate(units, revenue, CATEGORY)
    assert found.mean[45] == pytest.approx(true[46:].mean(), abs=0.4)
    assert found.deviation[45] > found.deviation[46:].mean()
    assert (found.lowest_price[45], found.highest_price[45]) == (pytest.approx(1), pytest.approx(1))


def test_without_any_change_of_price_nothing_but_the_assumption_is_known() -> None:
    units = np.random.default_rng(1).poisson(4, (6, 200)).astype(np.float64)
    found = estimate(units, units * 3.0, np.zeros(6, dtype=np.int64))
    assert found.mean == pytest.approx(PRIOR_MEAN)
    assert np.all(found.deviation >= 1)
    unsold = estimate(np.zeros((2, 70)), np.zeros((2, 70)), np.zeros(2, dtype=np.int64))
    assert unsold.mean == pytest.approx(PRIOR_MEAN)


def test_the_prices_that_were_seen_are_known() -> None:
    units = np.full((1, 70), 4.0)
    revenue = units * 10
    revenue[0, :7] = 4 * 8
    found = estimate(units, revenue, np.zeros(1, dtype=np.int64))
    assert found.lowest_price[0] == pytest.approx(0.8, abs=0.02)
    assert found.highest_price[0] == pytest.approx(1.02, abs=0.01)


@pytest.mark.parametrize("mean", [-3.0, -1.0, 0.0, 2.0])
def test_a_higher_price_never_sells_more_and_a_lower_one_never_less(mean: float) -> None:
    one = np.ones(1)
    found = Elasticities(mean * one, one, one, one)
    for level in (0.025, 0.5, 0.975):
        assert found.factors(np.log([[1.05]]), level) <= 1
        assert found.factors(np.log([[0.8]]), level) >= 1
