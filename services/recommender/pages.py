"""Fills pages of recommendations, from a model's ranking first and from the catalogue after that."""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hashiramart.catalog.v1.catalog_pb2 import Product
from mesh.paging import Place
from ml.recommender.model import Recommender
from ml.recommender.ranking import Ranking
from ml.registry.champion import ServedModel
from services.recommender.products import ProductFilter, Products

# A page token names the products of all earlier pages, and has no room for more.
MAX_LIST_LENGTH = 500

# The fallback step of a list without a model, and the source of a product that no model proposed.
CATALOG = "CATALOG"


class PageRequest(NamedTuple):
    """The page of a list that is wanted."""

    filter: ProductFilter
    earlier: Place
    """The keys of the products on earlier pages, as in `RecommendationPage.end`."""
    size: int


class RecommendedProduct(NamedTuple):
    """A product on a page, with the reason for it. `source` and `kind` are values of the contract's enums, without their prefix."""

    product: Product
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


class PageBuilder:
    """Fills a page from the top. No product that an earlier page has shown is added, even if the order has changed since."""

    def __init__(self, request: PageRequest, products: Products) -> None:
        self._earlier = request.earlier
        self._earlier_keys = frozenset(request.earlier)
        self._size = min(request.size, MAX_LIST_LENGTH - len(request.earlier))
        # One more than fits: it shows whether another page follows.
        self._wanted = self._size + 1
        self._products = products
        self._added: list[RecommendedProduct] = []
        self._lowest_score = 0.0

    @property
    def ranking_limit(self) -> int:
        """How many products a ranking has to have."""
        return len(self._earlier) + self._wanted

    def add_ranking(self, ranking: Ranking) -> None:
        """Adds the products of a ranking, and explains those that fit on the page."""
        new = [position for position, id in enumerate(ranking.ids) if _key(id) not in self._earlier_keys]
        for recommendation in ranking.recommendations(new[: self._wanted]):
            reason = recommendation.reason
            # A product that was deleted while the model ranked is left out.
            if product := self._products.get(recommendation.product_id):
                text = reason.text(self._products.name)
                self._added.append(
                    RecommendedProduct(product, recommendation.score, reason.source.name, reason.kind.name, text, reason.product_ids)
                )
        self._lowest_score = min(ranking.score.tolist(), default=0.0)

    def add_catalog(self, mask: NDArray[np.bool_], kind: str, text: str, product_ids: Sequence[str] = ()) -> None:
        """Adds products in the order of the catalogue, newest first, all for the same reason.

        mask: which of the products to add, as `Products.mask`
        """
        for number in np.flatnonzero(mask)[::-1].tolist():
            if len(self._added) == self._wanted:
                return
            product = self._products.at(number)
            if product and _key(product.id) not in self._earlier_keys:
                self._added.append(RecommendedProduct(product, self._lowest_score, CATALOG, kind, text, product_ids))

    def build(self, step: str, served: ServedModel[Recommender] | None) -> RecommendationPage:
        """The page, with the fallback step and the model that it came from."""
        shown = self._added[: self._size]
        has_more = len(self._added) > len(shown) and len(self._earlier) + len(shown) < MAX_LIST_LENGTH
        end = (*self._earlier, *(_key(each.product.id) for each in shown)) if has_more else None
        return RecommendationPage(shown, len(self._earlier) + 1, end, step, served)


def _key(id: str) -> int:
    """A short stand-in for a product id, as a page token has no room for 500 ids."""
    return crc32(id.encode())
