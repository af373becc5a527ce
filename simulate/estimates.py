"""Estimates from the exposure log of what other lists would have earned, beside what they would have earned in truth."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.experiments.off_policy import LoggedLists, PolicyValue, doubly_robust_value, self_normalised_value
from simulate.market import Market, examination
from simulate.shop import LoggedProduct

# How many products at the first position know as much of a product's revenue as the mean of all products does.
_PRIOR_EXPOSURES = 5.0
_FOLDS = 2

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]


class LoggedVisit(NamedTuple):
    """A visit: the list that was shown, and what the same slot would have shown without exploration, then the products that follow."""

    shopper: int
    recommendation_id: str
    page: Sequence[str]
    following: Sequence[str]


class PolicyComparison(NamedTuple):
    """A way to make lists: its estimates and its true value, in cents a visit."""

    name: str
    truth: float
    self_normalised: PolicyValue
    doubly_robust: PolicyValue


class _Log(NamedTuple):
    """The log as arrays of products' indices, of shape (visits, positions)."""

    lists: LoggedLists
    shown: Indices
    page: Indices
    following: Indices


def compare_policies(
    market: Market, visits: Sequence[LoggedVisit], exposures: Mapping[str, Sequence[LoggedProduct]]
) -> list[PolicyComparison]:
    """Estimates from the log, of policies that nobody was shown, beside the truth.

    The policies: the list without exploration; at each position the dearer of its own product and of the one that follows as far behind;
    and only what follows. Visits whose list the log does not have are left out.

    visits: each with a full page, and as many products that follow
    """
    log = _read(market, visits, exposures)
    predicted_values = _predict(log, market)
    position = examination(log.page.shape[1])
    dearer = np.where(market.prices[log.following] > market.prices[log.page], log.following, log.page)
    compared = []
    for name, policy in (("without exploration", log.page[:, :, None]), ("the dearer of two", dearer[:, :, None]), ("what follows", None)):
        # What the policy may show at each position, all with the same probability. Shape (visits, positions, products).
        choices = np.repeat(log.following[:, None, :], log.page.shape[1], axis=1) if policy is None else policy
        target = (choices == log.shown[:, :, None]).mean(2)
        visit = np.arange(len(choices))[:, None, None]
        revenue = np.stack([market.revenue(int(shopper)) for shopper in log.lists.shoppers])
        truth = float((revenue[visit, choices].mean(2) @ position).mean())
        predicted_of_policy = (predicted_values.of(choices).mean(2) * predicted_values.position).sum(1)
        predicted = predicted_values.of(log.shown[:, :, None])[:, :, 0] * predicted_values.position
        compared.append(
            PolicyComparison(
                name,
                truth,
                self_normalised_value(log.lists, target),
                doubly_robust_value(log.lists, target, predicted, predicted_of_policy),
            )
        )
    return compared


class _Predictions(NamedTuple):
    """A model of the rewards, fitted for each fold of shoppers on the others: a product's value times its position's weight."""

    values: Numbers
    """Shape (folds, products)."""
    fold: Indices
    """Of each visit, shape (visits,)."""
    position: Numbers
    """Of each visit, shape (visits, positions)."""

    def of(self, products: Indices) -> Numbers:
        """The values of products of shape (visits, positions, choices)."""
        values: Numbers = self.values[self.fold[:, None, None], products]
        return values


def _read(market: Market, visits: Sequence[LoggedVisit], exposures: Mapping[str, Sequence[LoggedProduct]]) -> _Log:
    logged = [(visit, exposures[visit.recommendation_id]) for visit in visits if visit.recommendation_id in exposures]
    shown = np.array([market.indices([each.product_id for each in products]) for _, products in logged])
    bought = np.array([["EVENT_KIND_PURCHASE" in each.kinds for each in products] for _, products in logged])
    propensities = np.array([[each.propensity for each in products] for _, products in logged])
    page = np.array([market.indices(visit.page) for visit, _ in logged])
    following = np.array([market.indices(visit.following) for visit, _ in logged])
    shoppers = np.array([visit.shopper for visit, _ in logged])
    return _Log(LoggedLists(bought * market.prices[shown], propensities, shoppers), shown, page, following)


def _predict(log: _Log, market: Market) -> _Predictions:
    fold = log.lists.shoppers % _FOLDS
    values, positions = [], []
    for number in range(_FOLDS):
        others = fold != number
        shown, rewards = log.shown[others], log.lists.rewards[others]
        position = rewards.mean(0) / max(float(rewards.mean(0)[0]), 1.0)
        exposed = np.bincount(shown.ravel(), np.broadcast_to(position, shown.shape).ravel(), len(market.ids))
        earned = np.bincount(shown.ravel(), rewards.ravel(), len(market.ids))
        mean = earned.sum() / max(float(exposed.sum()), 1.0)
        values.append((earned + _PRIOR_EXPOSURES * mean) / (exposed + _PRIOR_EXPOSURES))
        positions.append(position)
    return _Predictions(np.array(values), fold, np.array(positions)[fold])
