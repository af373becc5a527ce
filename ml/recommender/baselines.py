"""What any recommender must beat: one's own purchases, and what is popular."""

import numpy as np

from ml.recommender.customer import decay
from ml.recommender.interactions import Floats, Interactions

OWN_HALF_LIFE = 240.0
POPULARITY_DAYS = 14
# So little of popularity that it decides nothing else.
LITTLE = 1e-4


def popularity(history: Interactions, cutoff: int) -> Floats:
    """How many customers and days each product was bought in the last POPULARITY_DAYS. Shape (products,)."""
    recent = history.day >= cutoff - POPULARITY_DAYS
    return np.bincount(history.product[recent], minlength=len(history.product_ids)).astype(np.float32)


def own_purchases(history: Interactions, cutoff: int, index: int) -> Floats:
    """A customer's own purchases, each halved in OWN_HALF_LIFE days; popularity parts those that tie, and fills up. Shape (products,)."""
    filler = popularity(history, cutoff)
    events = history.of_customer(index)
    weights = decay((cutoff - history.day[events]).astype(np.float32), OWN_HALF_LIFE)
    own = np.bincount(history.product[events], weights, len(history.product_ids)) + LITTLE * filler / (filler.max() + 1)
    return np.asarray(own, np.float32)
