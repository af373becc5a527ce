"""Metrics of ranked lists."""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

import numpy as np

User = TypeVar("User", bound=Hashable)
Product = TypeVar("Product", bound=Hashable)


def ndcg(ranked: Sequence[Product], bought: AbstractSet[Product], k: int) -> float:
    """Normalised discounted cumulative gain at k of one list (Järvelin and Kekäläinen, 2002).

    Gains are 1 for products that were bought; the ideal list has min(k, bought) of them in front. `bought` must not be empty.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    hits = [product in bought for product in ranked[:k]]
    return float(discounts[: len(hits)][hits].sum() / discounts[: len(bought)].sum())


def scores(lists: Mapping[User, Sequence[Product]], truth: Mapping[User, AbstractSet[Product]], catalogue: int, k: int) -> dict[str, float]:
    """NDCG, recall and hit rate at k, each averaged over the users of the truth, and coverage: the share of the catalogue in any first k.

    lists: the recommended products by user, best first; a user without a list scores 0
    truth: the products bought by user, at least one
    catalogue: the number of products that the lists were made from
    """
    if not truth:
        raise ValueError("there is no user to score")
    top = {user: list(lists.get(user, ()))[:k] for user in truth}
    hits = {user: len(bought & set(top[user])) for user, bought in truth.items()}
    return {
        f"ndcg_at_{k}": float(np.mean([ndcg(top[user], bought, k) for user, bought in truth.items()])),
        f"recall_at_{k}": float(np.mean([hits[user] / len(bought) for user, bought in truth.items()])),
        f"hit_rate_at_{k}": float(np.mean([count > 0 for count in hits.values()])),
        f"coverage_at_{k}": len(set().union(*top.values())) / catalogue,
    }


def recall(lists: Mapping[User, AbstractSet[Product]], truth: Mapping[User, AbstractSet[Product]]) -> float:
    """The share of the bought products that are in a user's list, of any length, averaged over the users of the truth."""
    return float(np.mean([len(bought & lists.get(user, set())) / len(bought) for user, bought in truth.items()]))
