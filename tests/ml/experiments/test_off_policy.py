"""Estimates from a log of lists contain the true value of policies that were not followed, on simulated shoppers whose taste is known."""

from collections.abc import Callable

import numpy as np
import pytest

from ml.experiments.off_policy import LoggedLists, PolicyValue, doubly_robust_value, self_normalised_value

RUNS, SHOPPERS, LISTS_EACH, POSITIONS, FOLLOWING, SHARE = 300, 400, 3, 4, 6, 0.3
LISTS = SHOPPERS * LISTS_EACH
Numbers = np.ndarray
# The probability of each product of a list's candidates at each position, given what shoppers think of them: (lists, candidates) to
# (lists, positions, candidates).
Policy = Callable[[Numbers], Numbers]


def exploring(share: float) -> Policy:
    """The list as it is, where each position shows with a probability one of the products that follow, as the slots explore."""

    def probabilities(taste: Numbers) -> Numbers:
        policy = np.zeros((len(taste), POSITIONS, POSITIONS + FOLLOWING))
        policy[:, range(POSITIONS), range(POSITIONS)] = 1 - share
        policy[:, :, POSITIONS:] = share / FOLLOWING
        return policy

    return probabilities


def favourites(taste: Numbers) -> Numbers:
    """Each position shows its own product, or, where the shopper likes it better, the best of those that follow."""
    policy = np.zeros((len(taste), POSITIONS, POSITIONS + FOLLOWING))
    best = POSITIONS + taste[:, POSITIONS:].argmax(1)
    for position in range(POSITIONS):
        better = np.take_along_axis(taste, best[:, None], 1)[:, 0] > taste[:, position]
        policy[np.arange(len(taste)), position, np.where(better, best, position)] = 1
    return policy


class Shop:
    """Shoppers with tastes of their own, of whom the shop knows a part, and who buy what they like if they see it."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        tastes = random.beta(1, 6, (SHOPPERS, POSITIONS + FOLLOWING))
        self.shoppers = np.repeat(np.arange(SHOPPERS), LISTS_EACH)
        self.tastes = tastes[self.shoppers]
        self.seen = 1 / np.arange(1, POSITIONS + 1) ** 0.5
        # What one product costs.
        self.prices = np.linspace(1, 3, POSITIONS + FOLLOWING)

    def expected(self) -> Numbers:
        """What each candidate earns at each position, shape (lists, positions, candidates)."""
        return self.seen[None, :, None] * (self.tastes * self.prices)[:, None, :]

    def show(self, policy: Policy) -> tuple[LoggedLists, Numbers]:
        """Lists of a policy, with what they earned, and the products that were shown, shape (lists, positions)."""
        probabilities = policy(self.tastes)
        draws = self.random.random((LISTS, POSITIONS, 1))
        shown = (draws > probabilities.cumsum(2)).sum(2).clip(0, POSITIONS + FOLLOWING - 1)
        bought = self.random.random((LISTS, POSITIONS)) < self.seen * np.take_along_axis(self.tastes, shown, 1)
        return LoggedLists(bought * self.prices[shown], pick(probabilities, shown), self.shoppers), shown


def pick(values: Numbers, shown: Numbers) -> Numbers:
    return np.take_along_axis(values, shown[:, :, None], 2)[:, :, 0]


def estimates(shop: Shop, policy: Policy, model: Numbers) -> tuple[PolicyValue, PolicyValue, float]:
    """Both estimates of a policy from a log of exploring lists, and its true value. model: the expected rewards, as `Shop.expected`"""
    log, shown = shop.show(exploring(SHARE))
    probabilities = policy(shop.tastes)
    target = pick(probabilities, shown)
    robust = doubly_robust_value(log, target, pick(model, shown), (probabilities * model).sum((1, 2)))
    return self_normalised_value(log, target), robust, float((probabilities * shop.expected()).sum((1, 2)).mean())


@pytest.mark.parametrize("policy", [exploring(0), exploring(0.6), favourites], ids=["as it is", "exploring more", "favourites"])
def test_the_intervals_contain_the_true_value_in_at_least_90_percent_of_runs(policy: Policy) -> None:
    random, hits, widths = np.random.default_rng(1), np.zeros(2), np.zeros(2)
    for _ in range(RUNS):
        shop = Shop(random)
        # A model that is half wrong.
        model = shop.expected() * random.uniform(0.5, 1.5, (1, 1, POSITIONS + FOLLOWING))
        *found, truth = estimates(shop, policy, model)
        hits += [each.lower <= truth <= each.upper for each in found]
        widths += [(each.upper - each.lower) / truth for each in found]
    assert (hits / RUNS >= 0.9).all(), hits / RUNS
    # Intervals that hold all values would contain the true one too.
    assert (widths / RUNS < 1).all(), widths / RUNS


def test_the_intervals_hold_where_a_few_dear_purchases_make_most_of_the_value() -> None:
    """Of 1,000 shoppers, a twelfth saw what the policy shows, and a seventh of those bought it, at prices far apart."""
    random, hits, propensity = np.random.default_rng(4), np.zeros(2), 1 / 12
    for _ in range(RUNS):
        prices = random.lognormal(0, 0.7, (1000, 1))
        target = (random.random((1000, 1)) < propensity).astype(np.float64)
        log = LoggedLists((random.random((1000, 1)) < 1 / 7) * prices, np.where(target, propensity, 1 - propensity), np.arange(1000))
        truth, predicted = float(prices.mean()) / 7, np.full((1000, 1), 0.2)
        found = self_normalised_value(log, target), doubly_robust_value(log, target, predicted, predicted[:, 0])
        hits += [each.lower <= truth <= each.upper for each in found]
    # With the normal distribution's quantiles, 0.89 of them would.
    assert (hits / RUNS >= 0.92).all(), hits / RUNS


def test_an_interval_reaches_further_to_where_rare_rewards_would_take_the_value() -> None:
    rewards = np.array([[0.0]] * 190 + [[10.0]] * 10)
    found = self_normalised_value(LoggedLists(rewards, np.ones((200, 1)), np.arange(200)), np.ones((200, 1)))
    even = self_normalised_value(LoggedLists(np.array([[0.0], [1.0]] * 100), np.ones((200, 1)), np.arange(200)), np.ones((200, 1)))
    assert found.upper - found.value > 1.3 * (found.value - found.lower)
    assert even.upper - even.value == pytest.approx(even.value - even.lower)


def test_a_log_without_propensities_would_mislead() -> None:
    """What the log earned itself is not what the favourites would have earned: the estimates are not the mean of the log."""
    shop = Shop(np.random.default_rng(2))
    log, _ = shop.show(exploring(SHARE))
    found, robust, truth = estimates(shop, favourites, shop.expected())
    assert float(log.rewards.sum(1).mean()) < min(found.lower, robust.lower) < truth


def test_a_policy_that_made_the_log_has_the_mean_of_the_log() -> None:
    shop = Shop(np.random.default_rng(3))
    log, shown = shop.show(exploring(SHARE))
    found = self_normalised_value(log, pick(exploring(SHARE)(shop.tastes), shown))
    assert found.value == pytest.approx(log.rewards.sum(1).mean())
    assert found.effective_lists == pytest.approx(LISTS)


def test_short_lists_add_nothing_behind_their_end() -> None:
    log = LoggedLists(np.array([[2.0, 0], [4.0, 1]]), np.array([[0.5, 1], [0.5, 0.5]]), np.arange(2))
    found = self_normalised_value(log, np.array([[0.5, 0], [0.5, 0.5]]))
    assert found.value == pytest.approx(3 + 1)


def test_lists_of_one_shopper_tell_less_than_those_of_several() -> None:
    rewards, propensities = np.array([[1.0], [1.0], [0.0], [0.0]]), np.ones((4, 1))
    apart, together = (
        self_normalised_value(LoggedLists(rewards, propensities, shoppers), propensities)
        for shoppers in (np.arange(4), np.array([0, 0, 1, 1]))
    )
    assert apart.value == together.value
    assert apart.upper < together.upper
