"""A model of user-product pairs alone, without times and features: a blend of graph filter, random walk and ALS."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from ml.recommender.arrays import Floats, Ints
from ml.recommender.fitting import RANK_SHARE
from ml.recommender.item_item import random_walk

GRAPH_DIMENSIONS, WALK_NEIGHBOURS = 128, 500
# Implicit ALS: factors, L2 penalty, confidence in a purchase, iterations.
FACTORS, PENALTY, CONFIDENCE, ROUNDS = 64, 1.0, 10.0, 10
# The weights of the three in the blend, each scaled to a standard deviation of 1 over the products.
GRAPH_WEIGHT, WALK_WEIGHT, FACTORS_WEIGHT = 1.0, 1.0, 0.5
# A lower bound of variances, against division by zero.
MIN_VARIANCE = 1e-20


class PairsModel:
    """Fitted on a binary matrix, users × products: 1 where a user has bought a product."""

    def __init__(self, purchases: sparse.csr_array, seed: int) -> None:
        self.purchases = purchases.astype(np.float32)
        self.popularity: Floats = self.purchases.sum(axis=0)
        buyers, bought = (np.maximum(self.purchases.sum(axis=axis), 1).astype(np.float32) for axis in (0, 1))
        normalized = sparse.diags_array(bought**-0.5) @ self.purchases @ sparse.diags_array(buyers**-0.5)
        # The ideal low-pass graph filter (Shen et al., 2021).
        rank = max(min(purchases.shape) // RANK_SHARE, 1)
        _, _, band = randomized_svd(sparse.csr_matrix(normalized), min(GRAPH_DIMENSIONS, rank), n_iter=3, random_state=seed)
        by_graph = _scale(self.purchases @ (band * buyers**-0.5).T, band * buyers**0.5)
        # ALS uses threads of its own, which those of BLAS would slow down.
        with threadpool_limits(1, "blas"):
            als = AlternatingLeastSquares(
                factors=min(FACTORS, rank), regularization=PENALTY, alpha=CONFIDENCE, iterations=ROUNDS, random_state=seed, num_threads=0
            )
            als.fit(sparse.csr_matrix(self.purchases), show_progress=False)
        by_factors = _scale(als.user_factors, als.item_factors.T)
        # Side by side, both are one product of matrices.
        self.users = np.hstack((GRAPH_WEIGHT * by_graph, FACTORS_WEIGHT * by_factors)).astype(np.float32)
        self.products = np.vstack((band * buyers**0.5, als.item_factors.T)).astype(np.float32)
        self.walk = random_walk(self.purchases, WALK_NEIGHBOURS)

    def scores(self, users: Ints, *, include_purchased: bool) -> Floats:
        """The score of every product for each user, shape (users, products); -inf for products that may not be recommended."""
        rows = self.purchases[users]
        scores: Floats = self.users[users] @ self.products
        walked = (rows @ self.walk).tocsr()
        mean = walked.mean(axis=1)
        deviation = np.sqrt(np.maximum((walked * walked).mean(axis=1) - mean * mean, MIN_VARIANCE))
        for row, (start, end) in enumerate(zip(walked.indptr[:-1], walked.indptr[1:], strict=True)):
            scores[row, walked.indices[start:end]] += walked.data[start:end] * (WALK_WEIGHT / deviation[row])
        if not include_purchased:
            scores[rows.nonzero()] = -np.inf
        return scores


def top_k(scores: Floats, k: int) -> tuple[Ints, Floats]:
    """The columns of the k highest scores of each row, best first, and these scores. Shape (rows, k) each, or all columns if fewer."""
    k = min(k, scores.shape[1])
    columns = np.argpartition(scores, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    columns = np.take_along_axis(columns, order, axis=1)
    return columns.astype(np.int32), np.take_along_axis(scores, columns, axis=1)


def _scale(users: Floats, products: Floats) -> Floats:
    """Scales each user's vector, so that its products with the products' vectors have a standard deviation of 1.

    users: shape (users, dimensions)
    products: shape (dimensions, products)
    """
    covariance = np.atleast_2d(np.cov(products, bias=True))
    deviation = np.sqrt(np.maximum(np.einsum("ud,ud->u", users @ covariance, users), MIN_VARIANCE))
    return np.asarray(users / deviation[:, None], np.float32)
