"""Rankings: products in the order in which they are recommended, each with a reason on demand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ml.recommender.arrays import Flags, Floats, Ids, Ints
from ml.recommender.candidates import select_candidates
from ml.recommender.customer import NO_PRODUCTS, NO_WEIGHTS
from ml.recommender.reasons import Reason


class FallbackStep(Enum):
    """What a list is ranked by, the best first: each step needs less knowledge of the customer."""

    RANKER = "ranker"
    BLEND = "blend"
    BASKET = "basket"
    COUNTRY_POPULARITY = "country popularity"
    POPULARITY = "popularity"


@dataclass(frozen=True)
class Recommendation:
    """A recommended product. Scores are comparable within one list only, and do not rise with the rank."""

    product_id: str
    score: float
    reason: Reason


@dataclass(frozen=True)
class Ranking:
    """Products, best first. Reasons are computed for those that are shown."""

    step: FallbackStep
    product: Ints
    """Product indices, shape (ranked,)."""
    score: Floats
    """Shape (ranked,)."""
    product_ids: Ids
    """The ids of all products of the model."""
    explain: Callable[[Ints], list[Reason]]
    """Returns the reasons for product indices."""

    def __len__(self) -> int:
        return len(self.product)

    @property
    def ids(self) -> list[str]:
        """The ids of the ranked products, best first."""
        ids: list[str] = self.product_ids[self.product].tolist()
        return ids

    def recommendations(self, places: Sequence[int]) -> list[Recommendation]:
        """The recommendations at these places, counted from 0."""
        at = np.array(places, np.int32)
        products = self.product[at]
        rows = zip(self.product_ids[products].tolist(), self.score[at].tolist(), self.explain(products), strict=True)
        return [Recommendation(*row) for row in rows]


def rank_by_parts(parts: Sequence[Floats], allowed: Flags, limit: int) -> tuple[Ints, Floats, Ints]:
    """Ranks first the products with a positive score in the first part, then those in the second, and so on.

    parts: scores, shape (products,) each; the last part takes all products that are left, whatever their scores
    Returns the products, best first, their scores, and for every product the index of its part.
    """
    part = np.full(len(allowed), len(parts) - 1, np.int32)
    for index in reversed(range(len(parts) - 1)):
        part[parts[index] > 0] = index
    products, ranked_scores = NO_PRODUCTS, NO_WEIGHTS
    for index, scores in enumerate(parts):
        more = select_candidates(scores, allowed & (part == index), limit - len(products)) if limit > len(products) else NO_PRODUCTS
        products, ranked_scores = np.append(products, more), np.append(ranked_scores, shift_below(ranked_scores, scores[more]))
    return products, ranked_scores, part


def shift_below(scores: Floats, more: Floats) -> Floats:
    """Lowers further descending scores, so that none is above the last of the scores before them."""
    if not len(scores) or not len(more):
        return more
    shifted: Floats = np.minimum(more - (more[0] - scores[-1]), scores[-1]) if more[0] > scores[-1] else more
    return shifted
