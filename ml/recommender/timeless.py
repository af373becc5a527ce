"""Recommendations where nothing is known but who bought what: a blend of graph filter, random walk and ALS."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from ml.recommender.fitting import RANK_SHARE, random_walk
from ml.recommender.interactions import Floats, Ints

# Graph filter: dimensions of its band. Random walk: neighbours kept of each product.
BAND, NEIGHBOURS = 128, 500
FACTORS, PENALTY, WEIGHT, ROUNDS = 64, 1.0, 10.0, 10
# How much each weighs, their scores being scaled to a standard deviation of 1 over the products.
BAND_WEIGHT, WALK_WEIGHT, FACTORS_WEIGHT = 1.0, 1.0, 0.5


class Timeless:
    """Fitted on a matrix, customers × products: 1 where a customer has bought a product."""

    def __init__(self, once: sparse.csr_array, seed: int) -> None:
        self.once = once.astype(np.float32)
        self.popularity: Floats = self.once.sum(axis=0)
        buyers, bought = (np.maximum(self.once.sum(axis=axis), 1).astype(np.float32) for axis in (0, 1))
        even = sparse.diags_array(bought**-0.5) @ self.once @ sparse.diags_array(buyers**-0.5)
        # The graph filter's ideal low pass (Shen et al., 2021).
        most = max(min(once.shape) // RANK_SHARE, 1)
        _, _, band = randomized_svd(sparse.csr_matrix(even), min(BAND, most), n_iter=3, random_state=seed)
        by_band = scaled(self.once @ (band * buyers**-0.5).T, band * buyers**0.5)
        # Its own threads are what it uses the cores by.
        with threadpool_limits(1, "blas"):
            als = AlternatingLeastSquares(
                factors=min(FACTORS, most), regularization=PENALTY, alpha=WEIGHT, iterations=ROUNDS, random_state=seed, num_threads=0
            )
            als.fit(sparse.csr_matrix(self.once), show_progress=False)
        by_factors = scaled(als.user_factors, als.item_factors.T)
        # Side by side, both are one product of matrices.
        self.users = np.hstack((BAND_WEIGHT * by_band, FACTORS_WEIGHT * by_factors)).astype(np.float32)
        self.products = np.vstack((band * buyers**0.5, als.item_factors.T)).astype(np.float32)
        self.walk = random_walk(self.once, NEIGHBOURS)

    def scores(self, users: Ints, repeats: bool) -> Floats:
        """The score of every product for each user, shape (users, products); -inf for those that may not show.

        repeats: whether products that a user has bought may show
        """
        rows = self.once[users]
        scores: Floats = self.users[users] @ self.products
        walked = (rows @ self.walk).tocsr()
        mean = walked.mean(axis=1)
        spread = np.sqrt(np.maximum((walked * walked).mean(axis=1) - mean * mean, TINY))
        for row, (start, end) in enumerate(zip(walked.indptr[:-1], walked.indptr[1:], strict=True)):
            scores[row, walked.indices[start:end]] += walked.data[start:end] * (WALK_WEIGHT / spread[row])
        if not repeats:
            scores[rows.nonzero()] = -np.inf
        return scores


# Below it a spread is none.
TINY = 1e-20


def scaled(users: Floats, products: Floats) -> Floats:
    """The users' vectors, scaled so that their products with those of the products have a standard deviation of 1 in each row.

    users: shape (users, dimensions); products: shape (dimensions, products)
    """
    covariance = np.atleast_2d(np.cov(products, bias=True))
    spread = np.sqrt(np.maximum(np.einsum("ud,ud->u", users @ covariance, users), TINY))
    return np.asarray(users / spread[:, None], np.float32)


def best(scores: Floats, count: int) -> tuple[Ints, Floats]:
    """The columns of each row's highest scores, best first, and the scores."""
    count = min(count, scores.shape[1])
    columns = np.argpartition(scores, -count, axis=1)[:, -count:]
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    columns = np.take_along_axis(columns, order, axis=1)
    return columns.astype(np.int32), np.take_along_axis(scores, columns, axis=1)
