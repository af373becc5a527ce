"""How good ranked lists are, against what was bought."""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

import numpy as np

User = TypeVar("User", bound=Hashable)
Product = TypeVar("Product", bound=Hashable)


def ndcg(ranked: Sequence[Product], bought: AbstractSet[Product], k: int) -> float:
    """Normalised discounted cumulative gain at k of one list (Järvelin and Kekäläinen, 2002).

    Gains are 1 for what was bought; the ideal list has min(k, bought) of them in front. `bought` must not be empty.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    hits = [product in bought for product in ranked[:k]]
    return float(discounts[: len(hits)][hits].sum() / discounts[: len(bought)].sum())


def scores(lists: Mapping[User, Sequence[Product]], truth: Mapping[User, AbstractSet[Product]], catalogue: int, k: int) -> dict[str, float]:
    """NDCG, recall and hit rate at k, each the mean over the users of the truth, and coverage.

    lists: by user, the products recommended, best first; a user without a list has nothing right
    truth: by user, the products bought, at least one
    catalogue: of how many products the lists were made
    Coverage is the share of the catalogue in any user's first k.
    """
    if not truth:
        raise ValueError("there is no user to score")
    shown = {user: list(lists.get(user, ()))[:k] for user in truth}
    hits = {user: len(bought & set(shown[user])) for user, bought in truth.items()}
    return {
        f"ndcg_at_{k}": float(np.mean([ndcg(shown[user], bought, k) for user, bought in truth.items()])),
        f"recall_at_{k}": float(np.mean([hits[user] / len(bought) for user, bought in truth.items()])),
        f"hit_rate_at_{k}": float(np.mean([count > 0 for count in hits.values()])),
        f"coverage_at_{k}": len(set().union(*shown.values())) / catalogue,
    }


def recall(lists: Mapping[User, AbstractSet[Product]], truth: Mapping[User, AbstractSet[Product]]) -> float:
    """The share of what was bought that is in a user's list, whatever its length: the mean over the users of the truth."""
    return float(np.mean([len(bought & lists.get(user, set())) / len(bought) for user, bought in truth.items()]))
