"""What products earn is learnt from lists, and makes doubly robust estimates of a policy more precise than without."""

import numpy as np

from ml.experiments.off_policy import LoggedLists, doubly_robust_value, self_normalised_value
from ml.experiments.reward_model import NO_PRODUCT, predict_rewards

RUNS, LISTS, POSITIONS, PRODUCTS, SHARE = 100, 1500, 3, 12, 0.4
SEEN = 1 / np.arange(1, POSITIONS + 1)


def test_estimates_of_another_model_contain_its_true_value() -> None:
    """The champion shows the first products, and explores; the version has others."""
    random = np.random.default_rng(5)
    # One product stays where the champion has it.
    of_version = np.broadcast_to([4, 1, 7], (LISTS, POSITIONS))
    contained, widths = [], []
    for _ in range(RUNS):
        appeal = random.beta(2, 8, PRODUCTS)
        explored = random.random((LISTS, POSITIONS)) < SHARE
        drawn = random.integers(POSITIONS, PRODUCTS, (LISTS, POSITIONS))
        shown = np.where(explored, drawn, np.arange(POSITIONS))
        propensities = np.where(explored, SHARE / (PRODUCTS - POSITIONS), 1 - SHARE)
        rewards = (random.random((LISTS, POSITIONS)) < appeal[shown] * SEEN).astype(float)
        log = LoggedLists(rewards, propensities, np.arange(LISTS))
        target = (shown == of_version).astype(float)
        predicted = predict_rewards(log, shown, of_version)
        robust = doubly_robust_value(log, target, predicted.shown, predicted.of_policy.sum(1))
        truth = float((appeal[of_version[0]] * SEEN).sum())
        contained.append(robust.lower <= truth <= robust.upper)
        normalised = self_normalised_value(log, target)
        widths.append((robust.upper - robust.lower) / (normalised.upper - normalised.lower))
    assert np.mean(contained) >= 0.9
    assert np.median(widths) < 1.05


def test_products_are_distinguished_and_what_is_unknown_is_average() -> None:
    shown = np.tile([[0, 1], [1, 0], [0, NO_PRODUCT]], (200, 1))
    rewards = np.where(shown == 0, 1.0, 0.0)
    log = LoggedLists(rewards, np.ones(shown.shape), np.arange(len(shown)))
    predicted = predict_rewards(log, shown, np.broadcast_to([2, 0], shown.shape))
    assert predicted.shown[0, 0] > 0.9
    assert predicted.shown[1, 0] < 0.1
    # In the mean, products earn two thirds at the first position.
    assert abs(predicted.of_policy[0, 0] - 2 / 3) < 0.05
    assert predicted.shown[2, 1] == 0


def test_without_rewards_nothing_is_expected() -> None:
    shown = np.array([[0, 1], [1, 0]])
    log = LoggedLists(np.zeros((2, 2)), np.ones((2, 2)), np.arange(2))
    assert not predict_rewards(log, shown, shown).of_policy.any()
