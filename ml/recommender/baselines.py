"""Baselines that the recommender must beat: a customer's own purchases, and popularity."""

import numpy as np

from ml.recommender.arrays import Floats
from ml.recommender.customer import decay
from ml.recommender.history import PurchaseHistory

OWN_HALF_LIFE = 240.0
POPULARITY_DAYS = 14
# Small enough that popularity only decides between products that tie.
TIE_BREAK = 1e-4


def popularity(history: PurchaseHistory, cutoff: int) -> Floats:
    """How many customers and days each product was bought in the last POPULARITY_DAYS. Shape (products,)."""
    recent = history.day >= cutoff - POPULARITY_DAYS
    return np.bincount(history.product[recent], minlength=len(history.product_ids)).astype(np.float32)


def own_purchases(history: PurchaseHistory, cutoff: int, index: int) -> Floats:
    """A customer's own purchases, decayed by OWN_HALF_LIFE days, then popularity. Shape (products,)."""
    popular = popularity(history, cutoff)
    entries = history.entries_of(index)
    weights = decay((cutoff - history.day[entries]).astype(np.float32), OWN_HALF_LIFE)
    own = np.bincount(history.product[entries], weights, len(history.product_ids)) + TIE_BREAK * popular / (popular.max() + 1)
    return np.asarray(own, np.float32)
