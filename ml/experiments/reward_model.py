"""What products earn at positions, learnt from lists that were shown: the model of the rewards for doubly robust estimates."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.experiments.off_policy import LoggedLists, Numbers

# A product that was shown as often as this counts half by what it earned, half by what products earn in the mean.
_PRIOR_EXPOSURES = 20
_FOLDS = 2
# In place of a product, behind the end of a list.
NO_PRODUCT = -1

Products = NDArray[np.int64]


class PredictedRewards(NamedTuple):
    """What products are expected to earn, shape (lists, positions); 0 behind the end of a list."""

    shown: Numbers
    of_policy: Numbers


def predict_rewards(log: LoggedLists, shown: Products, of_policy: Products) -> PredictedRewards:
    """Predicts the rewards of the lists that were shown, and of those of a policy.

    A product is expected to earn what products earn at the position, times what it earned itself in relation to what was expected of it,
    shrunk to 1. Each half of the shoppers is predicted from the other half, as doubly robust estimates ask for (cross-fitting:
    Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey, Robins (2018): Double/debiased machine learning for treatment and
    structural parameters. The Econometrics Journal 21).

    shown, of_policy: products from 0, shape (lists, positions); `NO_PRODUCT` behind the end of a list
    """
    _, shopper = np.unique(log.shoppers, return_inverse=True)
    fold = shopper % _FOLDS
    count = int(max(shown.max(initial=0), of_policy.max(initial=0))) + 1
    predicted = PredictedRewards(np.zeros(shown.shape), np.zeros(shown.shape))
    for each in range(_FOLDS):
        own, other = fold == each, fold != each
        positions, products = _fit(log.rewards[other], shown[other], count)
        for products_of, into in ((shown, predicted.shown), (of_policy, predicted.of_policy)):
            into[own] = np.where(products_of[own] == NO_PRODUCT, 0.0, positions * products[products_of[own]])
    return predicted


def _fit(rewards: Numbers, shown: Products, count: int) -> tuple[Numbers, Numbers]:
    """What products earn in the mean at each position, and the factor of each product."""
    is_shown = shown != NO_PRODUCT
    positions = np.where(is_shown, rewards, 0).sum(0) / np.maximum(is_shown.sum(0), 1)
    expected = np.broadcast_to(positions, shown.shape)[is_shown]
    prior = _PRIOR_EXPOSURES * float(expected.mean()) if len(expected) else 0.0
    earned_by_product = np.bincount(shown[is_shown], rewards[is_shown], count)
    expected_by_product = np.bincount(shown[is_shown], expected, count)
    factors = (earned_by_product + prior) / (expected_by_product + prior) if prior else np.ones(count)
    return positions, factors
