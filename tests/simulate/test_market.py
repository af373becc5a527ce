"""Simulated shoppers: they buy what they like, look where the position bias has it, and the truth is what they do in the mean."""

import numpy as np
import pytest

from simulate.market import POSITION_BIAS, Market, MarketProduct, examination

PRODUCTS = [MarketProduct(f"p{number:02}", f"category {number % 5}", 100 + 37 * number) for number in range(40)]
IDS = [product.id for product in PRODUCTS]


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(PRODUCTS, shoppers=30, seed=7)


def test_shoppers_buy_what_they_like(market: Market) -> None:
    for shopper in range(3):
        bought = sum(
            market.choose(shopper, visit, [id]).bought.astype(int)[0] * np.eye(40)[index]
            for visit in range(200)
            for index, id in enumerate(IDS)
        )
        utilities = market.utilities(shopper)
        liked, disliked = np.argsort(-utilities)[:10], np.argsort(utilities)[:10]
        assert bought[liked].sum() > 5 * bought[disliked].sum()


def test_nobody_buys_what_they_did_not_click_or_clicks_what_they_did_not_see(market: Market) -> None:
    for visit in range(50):
        choice = market.choose(visit % 30, visit, IDS)
        assert not (choice.clicked & ~choice.seen).any()
        assert not (choice.carted & ~choice.clicked).any()
        assert not (choice.bought & ~choice.carted).any()


def test_positions_are_seen_as_often_as_the_bias_has_it(market: Market) -> None:
    seen = np.mean([market.choose(visit % 30, visit, IDS[:10]).seen for visit in range(4000)], axis=0)
    assert seen == pytest.approx([position**-POSITION_BIAS for position in range(1, 11)], abs=0.03)


def test_the_value_of_a_list_is_what_visits_earn_in_the_mean(market: Market) -> None:
    shown = IDS[5:15]
    prices = market.prices[market.indices(shown)]
    earned = [prices[market.choose(3, visit, shown).bought].sum() for visit in range(20_000)]
    error = np.std(earned) / np.sqrt(len(earned))
    assert abs(np.mean(earned) - market.value(3, shown)) < 4 * error


def test_the_value_of_random_lists_is_the_mean_over_lists(market: Market) -> None:
    random = np.random.default_rng(1)
    values = [market.value(3, random.permutation(IDS)[:10].tolist()) for _ in range(5000)]
    assert market.random_value(3, 10) == pytest.approx(np.mean(values), rel=0.03)


def test_the_value_with_exploration_is_the_mean_over_what_is_explored(market: Market) -> None:
    random, page, following = np.random.default_rng(1), IDS[:10], IDS[10:20]
    values = []
    for _ in range(5000):
        explored = np.flatnonzero(random.random(10) < 0.3)
        shown = list(page)
        for position, id in zip(explored, random.permutation(following), strict=False):
            shown[position] = str(id)
        values.append(market.value(4, shown))
    assert market.explored_value(4, page, following, 0.3) == pytest.approx(np.mean(values), rel=0.03)


def test_no_list_is_worth_more_than_the_best(market: Market) -> None:
    random = np.random.default_rng(1)
    best = market.best_value(5, 10)
    assert all(market.value(5, random.permutation(IDS)[:10].tolist()) <= best for _ in range(200))
    ordered = [IDS[index] for index in np.argsort(-market.revenue(5))]
    assert market.value(5, ordered[:10]) == pytest.approx(best)


def test_the_same_seed_gives_the_same_shoppers_and_another_one_others() -> None:
    one, same, other = (Market(PRODUCTS, shoppers=30, seed=seed) for seed in (7, 7, 8))
    for shopper in range(30):
        assert (one.choose(shopper, 2, IDS).bought == same.choose(shopper, 2, IDS).bought).all()
        assert one.value(shopper, IDS) == same.value(shopper, IDS)
    assert one.value(0, IDS) != other.value(0, IDS)


def test_dear_products_are_bought_less_often() -> None:
    cheap, dear = (Market([MarketProduct("p", "", price), MarketProduct("q", "", 1000)], 200, seed=1) for price in (100, 10_000))
    assert np.mean([market.utilities(shopper)[0] for market in [cheap] for shopper in range(200)]) > np.mean(
        [dear.utilities(shopper)[0] for shopper in range(200)]
    )


def test_lists_have_an_end() -> None:
    assert len(examination(0)) == 0
    assert examination(1) == pytest.approx([1])
