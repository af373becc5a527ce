"""Candidates: the products that the ranker is to judge."""

import numpy as np

from ml.recommender.interactions import Flags, Floats, Ints

# How many the ranker judges at the most. With twice as many its first twenty are no better.
COUNT = 150


def candidates(blend: Floats, allowed: Flags, count: int = COUNT) -> Ints:
    """The allowed products of the highest blended scores, best first. Products that tie are in their own order.

    blend, allowed: shape (products,)
    """
    products = np.flatnonzero(allowed).astype(np.int32)
    scores = blend[products]
    if count < len(products):
        # Whatever ties with the last one comes along, so that the sort below decides between them.
        least = np.partition(scores, -count)[-count]
        products, scores = products[scores >= least], scores[scores >= least]
    return products[np.argsort(-scores, kind="stable")[:count]]
