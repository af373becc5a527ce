"""Fills pages of recommendations, from a model's ranking first and from the catalogue after that."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hashiramart.catalog.v1.catalog_pb2 import Product
from mesh.paging import Place
from ml.recommender.model import Recommender
from ml.recommender.ranking import Ranking
from ml.registry.champion import ServedModel
from services.recommender.arrangement import Arrangement, Pin, Placement, arrange, pins_of_page
from services.recommender.products import ProductFilter, Products

# How many more products than two pages an arrangement chooses from.
_HEADROOM = 100

# A page token names the products of all earlier pages, and has no room for more.
MAX_LIST_LENGTH = 500

# The fallback step of a list without a model, and the source of a product that no model proposed.
CATALOG = "CATALOG"
# The step of a list of similar products.
SIMILARITY = "SIMILARITY"


class PageRequest(NamedTuple):
    """The page of a list that is wanted."""

    filter: ProductFilter
    earlier: Place
    """The keys of the products on earlier pages, as in `RecommendationPage.end`."""
    size: int
    arrangement: Arrangement = Arrangement()
    """How the list is arranged; products that it excludes are among those that the filter excludes."""


class RecommendedProduct(NamedTuple):
    """A product on a page, with the reason for it. `source` and `kind` are values of the contract's enums, without their prefix."""

    product: Product
    placement: Placement
    score: float
    source: str
    kind: str
    text: str
    product_ids: Sequence[str] = ()


class RecommendationPage(NamedTuple):
    """A page of a list of recommendations."""

    products: list[RecommendedProduct]
    first_rank: int
    end: Place | None
    """The keys of all products up to the end of the page, or None on the last page."""
    step: str
    """The fallback step: a value of the contract's enum, without its prefix."""
    served: ServedModel[Recommender] | None
    """The model that ranked the products, if one did."""


class CatalogReason(NamedTuple):
    """The reason for products in the order of the catalogue."""

    kind: str
    text: str
    product_ids: Sequence[str] = ()


IN_CATALOG = CatalogReason("IN_CATALOG", "It is in the catalogue.")


class PageBuilder:
    """Fills a page from the top. No product that an earlier page has shown is added, even if the order has changed since."""

    def __init__(self, request: PageRequest, products: Products, random: Random) -> None:
        self._earlier = request.earlier
        self._earlier_keys = frozenset(request.earlier)
        self._size = min(request.size, MAX_LIST_LENGTH - len(request.earlier))
        self._arrangement = request.arrangement
        self._products = products
        self._random = random
        pinned, self._later_pins = self._pins(products.mask(request.filter)) if request.arrangement.pins else ([], [])
        self._pinned = pinned
        self._pinned_ids = {pin.product_id for pin in (*pinned, *self._later_pins)}
        # One more than fits: it shows whether another page follows. What is arranged takes more to choose from.
        self._wanted = self._size + 1 if request.arrangement.is_plain else 2 * self._size + _HEADROOM
        # By product, best first: the position in the ranking, or the reason why it follows.
        self._candidates: dict[str, int | CatalogReason] = {}
        self._pinned_candidates: dict[str, int | CatalogReason] = dict.fromkeys(self._pinned_ids, IN_CATALOG)
        self._ranking: Ranking | None = None

    @property
    def ranking_limit(self) -> int:
        """How many products a ranking has to have."""
        return len(self._earlier) + self._wanted + len(self._pinned_ids)

    def add_ranking(self, ranking: Ranking) -> None:
        """Adds the products of a ranking."""
        self._ranking = ranking
        for position, id in enumerate(ranking.ids):
            self._add(id, position)

    def add_catalog(self, mask: NDArray[np.bool_], reason: CatalogReason) -> None:
        """Adds products in the order of the catalogue, newest first, all for the same reason.

        mask: which of the products to add, as `Products.mask`
        """
        for number in np.flatnonzero(mask)[::-1].tolist():
            if len(self._candidates) == self._wanted:
                return
            if product := self._products.at(number):
                self._add(product.id, reason)

    def build(self, step: str, served: ServedModel[Recommender] | None) -> RecommendationPage:
        """The page, with the fallback step and the model that it came from. Explains the products that are shown."""
        shown = self._explain(self._arrange())
        has_more = len(self._candidates) + len(self._pinned_ids) > len(shown) and len(self._earlier) + len(shown) < MAX_LIST_LENGTH
        end = (*self._earlier, *(_key(each.product.id) for each in shown)) if has_more and shown else None
        return RecommendationPage(shown, len(self._earlier) + 1, end, step, served)

    def _add(self, id: str, reason: int | CatalogReason) -> None:
        if id in self._pinned_ids:
            self._pinned_candidates[id] = reason
        # A product that was deleted while the model ranked is left out.
        elif len(self._candidates) < self._wanted and _key(id) not in self._earlier_keys and self._products.get(id) is not None:
            self._candidates[id] = reason

    def _pins(self, mask: NDArray[np.bool_]) -> tuple[list[Pin], list[Pin]]:
        """The pins on this page and those on later ones, of products that may be shown."""

        def is_allowed(id: str) -> bool:
            return bool(mask[self._products.numbers([id])[0]]) and _key(id) not in self._earlier_keys

        first = len(self._earlier) + 1
        pins = self._arrangement.pins
        return pins_of_page(pins, is_allowed, first, self._size), pins_of_page(pins, is_allowed, first + self._size, MAX_LIST_LENGTH)

    def _arrange(self) -> list[Placement]:
        candidates = list(self._candidates)
        if self._arrangement.is_plain:
            return [Placement(id) for id in candidates[: self._size]]
        # Pins of later pages that there will not be are at the end of this one.
        room = max(self._size - len(self._pinned) - len(candidates), 0)
        pinned = [*self._pinned, *(pin._replace(position=self._size) for pin in self._later_pins[:room])]
        return arrange(candidates, self._products.category, pinned, self._arrangement, self._size, self._random)

    def _explain(self, placements: Sequence[Placement]) -> list[RecommendedProduct]:
        reasons = self._candidates | self._pinned_candidates
        positions = {placement.product_id: reasons[placement.product_id] for placement in placements}
        ranked = [position for position in positions.values() if isinstance(position, int)]
        ranking = self._ranking
        explained = {each.product_id: each for each in ranking.recommendations(ranked)} if ranking is not None and ranked else {}
        lowest_score = min(ranking.score.tolist(), default=0.0) if ranking is not None else 0.0
        shown = []
        for placement in placements:
            product = self._products.get(placement.product_id)
            if product is None:
                continue
            if recommendation := explained.get(placement.product_id):
                reason = recommendation.reason
                text, score = reason.text(self._products.name), recommendation.score
                shown.append(RecommendedProduct(product, placement, score, reason.source.name, reason.kind.name, text, reason.product_ids))
            else:
                shown.append(RecommendedProduct(product, placement, lowest_score, CATALOG, *_catalog_reason(positions[product.id])))
        return shown


def _catalog_reason(reason: int | CatalogReason) -> CatalogReason:
    return IN_CATALOG if isinstance(reason, int) else reason


def _key(id: str) -> int:
    """A short stand-in for a product id, as a page token has no room for 500 ids."""
    return crc32(id.encode())
