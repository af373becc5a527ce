"""Estimates of lists that nobody was shown, from a simulated log, beside their true values."""

import numpy as np

from simulate.estimates import LoggedVisit, PolicyComparison, compare_policies
from simulate.market import Market, MarketProduct
from simulate.shop import LoggedProduct

PRODUCTS = [MarketProduct(f"p{number:02}", f"category {number % 4}", 100 + 20 * number) for number in range(30)]
SHARE, SIZE, SHOPPERS, WEEKS = 0.3, 5, 100, 8


def simulate(seed: int) -> list[PolicyComparison]:
    """The comparison of a log in which each shopper sees lists in an order of their own."""
    market, random = Market(PRODUCTS, SHOPPERS, seed), np.random.default_rng(seed)
    visits, exposures = [], {}
    for shopper in range(SHOPPERS):
        ranked = [str(id) for id in random.permutation(market.ids)[: 2 * SIZE]]
        for week in range(WEEKS):
            page, following = ranked[:SIZE], ranked[SIZE:]
            explored = random.random(SIZE) < SHARE
            drawn = iter(random.permutation(following).tolist())
            shown = [next(drawn) if explores else id for id, explores in zip(page, explored, strict=True)]
            bought = market.choose(shopper, week, shown).bought
            id = f"{shopper}-{week}"
            visits.append(LoggedVisit(shopper, id, page, following))
            exposures[id] = [
                LoggedProduct(product, SHARE / SIZE if explores else 1 - SHARE, ["EVENT_KIND_PURCHASE"] if buys else [])
                for product, explores, buys in zip(shown, explored, bought, strict=True)
            ]
    # A list that the log does not have is left out.
    return compare_policies(market, [*visits, LoggedVisit(0, "lost", page, following)], exposures)


def test_intervals_cover_the_truth() -> None:
    runs = [each for seed in range(25) for each in simulate(seed)]
    for estimator in ("self_normalised", "doubly_robust"):
        estimates = [(each.truth, getattr(each, estimator)) for each in runs]
        assert np.mean([estimate.lower <= truth <= estimate.upper for truth, estimate in estimates]) >= 0.9


def test_the_policies_differ_as_they_do_in_truth() -> None:
    means = {
        name: np.mean([each.truth for seed in range(3) for each in simulate(seed) if each.name == name])
        for name in ("without exploration", "the dearer of two")
    }
    assert len(set(means.values())) == 2
