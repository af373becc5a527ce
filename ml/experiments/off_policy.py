"""What lists would have earned that nobody was shown, estimated from lists that were shown with known propensities.

A policy is a way to make lists: it puts products on positions, each with a probability. The log has, for each list and position, the
product that was shown there, its propensity, and what it earned, its reward. The value of a policy is what a list of it earns in the mean:
the sum over the positions. What a product earns is taken to depend on the shopper, the product and its position, and not on the rest of
the list.

No product that the policy may show may have had a propensity of 0. So exploration is what makes policies comparable: what it never shows
cannot be estimated.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of the probability that the interval contains the true value.
_LEVEL = 0.95
# With fewer effective lists, the interval is not to be trusted: a purchase or two at large weights decide the value and its variance
# together, so that a log without them gives a value that is too low, and an interval that is too narrow.
LEAST_LISTS = 100
# Where the quantile of skewed values is the normal one to ten digits, and has fewer of its own.
_LEAST_SKEWNESS = 1e-6

Numbers = NDArray[np.float64]


class PolicyValue(NamedTuple):
    """What a list of a policy earns, with an interval of 95 % for this one look at the log."""

    value: float
    lower: float
    upper: float
    effective_lists: float
    """How many lists of the policy itself would tell as much: the squared sum of the weights over the sum of their squares."""


class LoggedLists(NamedTuple):
    """The log of lists, of shape (lists, positions). A list that is shorter has rewards of 0 and propensities of 1 behind its end."""

    rewards: Numbers
    propensities: Numbers
    """The probabilities with which the products took their positions; above 0."""
    shoppers: NDArray[np.int64]
    """Whose list it was, shape (lists,), as lists of one shopper tell less than those of several."""


def self_normalised_value(log: LoggedLists, target: Numbers) -> PolicyValue:
    """The value of a policy by self-normalised inverse propensity scores.

    Swaminathan, Joachims (2015): The self-normalized estimator for counterfactual learning. Advances in Neural Information Processing
    Systems 28. The positions of a list are estimated one by one, as in Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen (2018):
    Offline evaluation of ranking policies with click models. KDD 2018. The interval is that of a ratio of means (the delta method).

    target: the probabilities with which the policy puts the products that were shown where they were shown, shape (lists, positions); 0
    behind the end of a list
    """
    weights = target / log.propensities
    mean_weights = weights.mean(0)
    used = mean_weights > 0
    position_values = np.divide((weights * log.rewards).mean(0), mean_weights, out=np.zeros_like(mean_weights), where=used)
    deviations = weights[:, used] * (log.rewards - position_values)[:, used] / mean_weights[used]
    return _with_interval(float(position_values.sum()), deviations.sum(1), log, weights)


def doubly_robust_value(log: LoggedLists, target: Numbers, predicted: Numbers, predicted_of_policy: Numbers) -> PolicyValue:
    """The value of a policy by a model of the rewards, whose errors the log corrects.

    It is right if either the propensities or the model are, and more precise than without a model the better that is. Dudík, Langford, Li
    (2011): Doubly robust policy evaluation and learning. ICML 2011. The model must not be fitted to the rewards of these lists.

    target: as for `self_normalised_value`
    predicted: what the model expects of the products that were shown, shape (lists, positions)
    predicted_of_policy: what it expects of the policy's list, in the mean over what the policy may show, shape (lists,)
    """
    weights = target / log.propensities
    contributions = predicted_of_policy + (weights * (log.rewards - predicted)).sum(1)
    value = float(contributions.mean())
    return _with_interval(value, contributions - value, log, weights)


def _with_interval(value: float, deviations: Numbers, log: LoggedLists, weights: Numbers) -> PolicyValue:
    """deviations: how each list moves the value, shape (lists,)"""
    _, shopper = np.unique(log.shoppers, return_inverse=True)
    sums = np.bincount(shopper, deviations).astype(np.float64)
    # With few shoppers, the variance between them would be underestimated.
    correction = len(sums) / max(len(sums) - 1, 1)
    error = float(np.sqrt(correction * (sums**2).sum())) / len(deviations)
    squares = float((weights**2).sum())
    effective = float(weights.sum() ** 2 / squares) / weights.shape[1] if squares else 0.0
    lower, upper = (value - error * _quantile(sums, probability) for probability in ((1 + _LEVEL) / 2, (1 - _LEVEL) / 2))
    return PolicyValue(value, lower, upper, effective)


def _quantile(sums: Numbers, probability: float) -> float:
    """The quantile of the studentized mean of values that are skewed: a few dear purchases make most of what a policy earns.

    So a log without them says too little, and with a variance that is too small. Hall (1992): On the removal of skewness by transformation.
    Journal of the Royal Statistical Society B 54.
    """
    normal, variance = NormalDist().inv_cdf(probability), float((sums**2).mean())
    # The skewness of the mean, which is the less the more values there are.
    skewness = float((sums**3).mean()) / (variance**1.5 * len(sums) ** 0.5) if variance else 0.0
    if abs(skewness) < _LEAST_SKEWNESS:
        return normal
    return float(3 / skewness * (np.cbrt(1 + skewness * (normal - skewness / 6)) - 1))
