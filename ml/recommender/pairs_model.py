"""A model of user-product pairs alone, without times and features: a blend of item-item matrices, a graph filter, ALS and popularity.

A part of the pairs of some users is held back to choose the weights in the blend.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from ml.recommender.arrays import Floats, Ints
from ml.recommender.fitting import RANK_SHARE
from ml.recommender.item_item import EASE_PRODUCTS, ease, random_walk

GRAPH_DIMENSIONS, WALK_NEIGHBOURS, EASE_PENALTIES = 256, 500, (100.0, 500.0)
# The powers by which a random walk divides by the number of a product's buyers, of a buyer's products, and of the target's buyers:
# RP3beta's, and those of the linear graph filter.
WALKS = {"walk": (0.7, 0.7, 0.3), "linear": (0.5, 1.0, 0.5)}
# Implicit ALS: factors, L2 penalty, confidence in a purchase, iterations.
FACTORS, PENALTY, CONFIDENCE, ROUNDS = 256, 50.0, 100.0, 10
# The share of the pairs of each user held back; at most so many users, and this share of all; the length of their lists.
HELD_SHARE, HELD_USERS, HELD_USER_SHARE, HELD_LENGTH = 0.2, 2_000, 0.25, 20
# So many scores of one member fit into memory several times.
HELD_SCORES = 25_000_000
# Below this number of pairs, all is fitted once more with the pairs that were held back.
REFITTED_PAIRS = 500_000
# The weights that a member may have in the blend, each scaled to a standard deviation of 1 over the products.
WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5)
# Where the search starts: weights that do well on many data sets. Another weight must gain this much to be believed.
FIRST_WEIGHTS, MIN_GAIN = {"linear": 1.0, "walk": 0.5, "graph": 0.35, "factors": 0.5}, 0.002
POPULARITY, POPULARITY_WEIGHTS = "popularity", (-0.3, -0.15, 0.0, 0.1, 0.25)
SWEEPS, BLOCK = 2, 250
# A lower bound of variances, against division by zero.
MIN_VARIANCE = 1e-20


class Scorer(Protocol):
    """A member of the blend."""

    def add(self, scores: Floats, rows: sparse.csr_array, weight: float) -> None:
        """Adds scores of standard deviation `weight`, up to a constant per user. scores: shape (users, products); rows: their purchases"""


@dataclass(frozen=True)
class ItemItem:
    """Scores by a sparse matrix, products × products."""

    matrix: sparse.csr_array

    def add(self, scores: Floats, rows: sparse.csr_array, weight: float) -> None:
        found = (rows @ self.matrix).tocsr()
        mean = found.mean(axis=1)
        deviation = np.sqrt(np.maximum((found * found).mean(axis=1) - mean * mean, MIN_VARIANCE))
        for row, (start, end) in enumerate(zip(found.indptr[:-1], found.indptr[1:], strict=True)):
            scores[row, found.indices[start:end]] += found.data[start:end] * (weight / deviation[row])


class LowRank:
    """Scores by products of user vectors and product vectors. products: products × dimensions"""

    def __init__(self, products: Floats) -> None:
        self._products = np.ascontiguousarray(products.T)
        self._covariance = np.cov(self._products).reshape(len(self._products), -1).astype(np.float32)

    def user_vectors(self, rows: sparse.csr_array) -> Floats:
        """Users × dimensions."""
        raise NotImplementedError

    def add(self, scores: Floats, rows: sparse.csr_array, weight: float) -> None:
        users = self.user_vectors(rows)
        variance = np.maximum(((users @ self._covariance) * users).sum(axis=1, keepdims=True), MIN_VARIANCE)
        scores += (users * (weight / np.sqrt(variance))).astype(np.float32) @ self._products


class GraphFilter(LowRank):
    """The ideal low-pass graph filter of GF-CF (Shen et al., 2021)."""

    def __init__(self, purchases: sparse.csr_array, seed: int) -> None:
        buyers, bought = (np.maximum(purchases.sum(axis=axis), 1).astype(np.float32) for axis in (0, 1))
        normalized = sparse.diags_array(bought**-0.5) @ purchases @ sparse.diags_array(buyers**-0.5)
        dimensions = min(GRAPH_DIMENSIONS, _rank(purchases))
        _, _, band = randomized_svd(sparse.csr_matrix(normalized), dimensions, n_iter=3, random_state=seed)
        self._to_band = (band * buyers**-0.5).T.astype(np.float32)
        super().__init__((band * buyers**0.5).T.astype(np.float32))

    def user_vectors(self, rows: sparse.csr_array) -> Floats:
        vectors: Floats = rows @ self._to_band
        return vectors


class ImplicitFactors(LowRank):
    """ALS (Hu, Koren and Volinsky, 2008)."""

    def __init__(self, purchases: sparse.csr_array, seed: int) -> None:
        # ALS uses threads of its own, which those of BLAS would slow down.
        with threadpool_limits(1, "blas"):
            self._model = AlternatingLeastSquares(
                factors=min(FACTORS, _rank(purchases)),
                regularization=PENALTY,
                alpha=CONFIDENCE,
                iterations=ROUNDS,
                random_state=seed,
                num_threads=1,
            )
            self._model.fit(sparse.csr_matrix(purchases), show_progress=False)
        super().__init__(self._model.item_factors)

    def user_vectors(self, rows: sparse.csr_array) -> Floats:
        vectors: Floats = self._model.recalculate_user(np.arange(rows.shape[0]), sparse.csr_matrix(rows)).reshape(rows.shape[0], -1)
        return vectors


class Popularity:
    """Scores by the logarithm of the number of buyers."""

    def __init__(self, purchases: sparse.csr_array) -> None:
        logs = np.log1p(purchases.sum(axis=0))
        self._scores = ((logs - logs.mean()) / max(logs.std(), 1e-10)).astype(np.float32)

    def add(self, scores: Floats, rows: sparse.csr_array, weight: float) -> None:
        scores += weight * self._scores


class PairsModel:
    """Fitted on a binary matrix, users × products: 1 where a user has bought a product."""

    def __init__(self, purchases: sparse.csr_array, seed: int) -> None:
        self.purchases = purchases.astype(np.float32)
        self.popularity: Floats = self.purchases.sum(axis=0)
        known, hidden, users = _hold_back(self.purchases, seed)
        self._members = fit_members(known, seed)
        self.weights, self.recall = choose_weights(self._members, known, hidden, users)
        """The weight of each member, and the recall that it reached on the pairs held back."""
        if self.purchases.nnz <= REFITTED_PAIRS:
            self._members = fit_members(self.purchases, seed, [name for name, weight in self.weights.items() if weight])

    def scores(self, users: Ints, *, include_purchased: bool) -> Floats:
        """The score of every product for each user, shape (users, products); -inf for products that may not be recommended."""
        rows = self.purchases[users]
        scores = np.zeros(rows.shape, np.float32)
        for name, weight in self.weights.items():
            if weight:
                self._members[name].add(scores, rows, weight)
        if not include_purchased:
            scores[rows.nonzero()] = -np.inf
        return scores


def fit_members(purchases: sparse.csr_array, seed: int, names: list[str] | None = None) -> dict[str, Scorer]:
    """Fits the members of these names, by default all that suit a catalogue of this size. purchases: binary, users × products"""
    penalties = EASE_PENALTIES if purchases.shape[1] <= EASE_PRODUCTS else ()
    names = names or [*WALKS, "graph", "factors", POPULARITY, *(f"ease {penalty:g}" for penalty in penalties)]
    members: dict[str, Scorer] = {}
    for name in names:
        if name in WALKS:
            members[name] = ItemItem(random_walk(purchases, WALK_NEIGHBOURS, WALKS[name]))
        elif name == "graph":
            members[name] = GraphFilter(purchases, seed)
        elif name == "factors":
            members[name] = ImplicitFactors(purchases, seed)
        elif name == POPULARITY:
            members[name] = Popularity(purchases)
        else:
            members[name] = ItemItem(ease(purchases, float(name.split()[1]), WALK_NEIGHBOURS))
    return members


def choose_weights(
    members: Mapping[str, Scorer], known: sparse.csr_array, hidden: sparse.csr_array, users: Ints
) -> tuple[dict[str, float], float]:
    """The weights with the best recall of what is hidden of these users, found one at a time; and this recall."""
    weights = {name: FIRST_WEIGHTS.get(name, 0.0) for name in members}
    if not len(users):
        return weights, float("nan")
    rows, truth = known[users], hidden[users]
    single = {name: np.zeros(rows.shape, np.float32) for name in members}
    for name, member in members.items():
        member.add(single[name], rows, 1.0)
    # Purchased products are out of every list, whatever a later member adds.
    total = np.zeros(rows.shape, np.float32)
    total[rows.nonzero()] = -np.inf

    for name, weight in weights.items():
        total += weight * single[name]
    best = _recall(total, truth)
    for _, name in product(range(SWEEPS), members):
        for weight in POPULARITY_WEIGHTS if name == POPULARITY else WEIGHTS:
            changed: Floats = total + np.float32(weight - weights[name]) * single[name]
            if weight != weights[name] and (found := _recall(changed, truth)) > best * (1 + MIN_GAIN):
                best, total, weights = found, changed, weights | {name: weight}
    return weights, best


def top_k(scores: Floats, k: int) -> tuple[Ints, Floats]:
    """The columns of the k highest scores of each row, best first, and these scores. Shape (rows, k) each, or all columns if fewer."""
    k = min(k, scores.shape[1])
    columns = np.argpartition(scores, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    columns = np.take_along_axis(columns, order, axis=1)
    return columns.astype(np.int32), np.take_along_axis(scores, columns, axis=1)


def _hold_back(purchases: sparse.csr_array, seed: int) -> tuple[sparse.csr_array, sparse.csr_array, Ints]:
    """The purchases without those held back, those held back, and the users whose they are, who keep some."""
    rng = np.random.default_rng(seed)
    active = np.flatnonzero(np.diff(purchases.indptr) >= 2)
    count = min(HELD_USERS, int(HELD_USER_SHARE * len(active)), HELD_SCORES // purchases.shape[1])
    chosen = np.zeros(purchases.shape[0], dtype=bool)
    chosen[rng.choice(active, count, replace=False)] = True
    matrix = purchases.tocoo()
    held = chosen[matrix.row] & (rng.random(matrix.nnz) < HELD_SHARE)
    known, hidden = (
        sparse.csr_array((matrix.data[part], (matrix.row[part], matrix.col[part])), shape=purchases.shape) for part in (~held, held)
    )
    users = np.flatnonzero((np.diff(known.indptr) > 0) & (np.diff(hidden.indptr) > 0))
    return known, hidden, users.astype(np.int32)


def _recall(scores: Floats, truth: sparse.csr_array) -> float:
    """The mean share of the truth among the first of each list; a tenth of its mean reciprocal rank there orders equal shares."""
    length = min(HELD_LENGTH, max(scores.shape[1] // 4, 1))
    best = np.vstack([top_k(scores[start : start + BLOCK], length)[0] for start in range(0, len(scores), BLOCK)])
    found = np.asarray(truth[np.repeat(np.arange(len(best)), best.shape[1]), best.ravel()]).reshape(best.shape)
    gains = found.sum(axis=1) / np.diff(truth.indptr)
    first = (found / np.arange(1, best.shape[1] + 1)).max(axis=1)
    return float(gains.mean() + 0.1 * first.mean())


def _rank(purchases: sparse.csr_array) -> int:
    """The most dimensions that still leave something out."""
    return max(int(min(purchases.shape)) // RANK_SHARE, 1)
