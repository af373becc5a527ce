"""Candidates: the products that the ranker orders."""

import numpy as np

from ml.recommender.arrays import Flags, Floats, Ints

# The most candidates that the ranker orders. Twice as many did not improve its first twenty.
CANDIDATE_COUNT = 150


def select_candidates(blend: Floats, allowed: Flags, count: int = CANDIDATE_COUNT) -> Ints:
    """The allowed products with the highest blended scores, best first; equal scores are ordered by product index.

    blend, allowed: shape (products,)
    """
    products = np.flatnonzero(allowed).astype(np.int32)
    scores = blend[products]
    if count < len(products):
        # Products that tie with the last candidate are kept until the sort, which decides between them.
        least = np.partition(scores, -count)[-count]
        products, scores = products[scores >= least], scores[scores >= least]
    return products[np.argsort(-scores, kind="stable")[:count]]
