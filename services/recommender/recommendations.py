"""Lists of recommendations: what the model ranks, of what the catalogue has."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np

from hashiramart.catalog.v1.catalog_pb2 import Product
from mesh.errors import NotFound
from mesh.paging import Place
from ml.recommender.interactions import Flags, Ints
from ml.recommender.model import Ranking, Recommender, Request
from ml.registry.champion import Champion, ServedModel
from services.recommender.catalog import Catalog
from services.recommender.products import Filters, Products

# As many products as a page token has room to name: a list ends there.
LONGEST = 500

# Ranks those of the model's products that may show, so many at the most.
Rank = Callable[[Recommender, Flags, int], Ranking]


class Asked(NamedTuple):
    """Which page of a list is asked for, and what may show in it."""

    filters: Filters
    # What the pages before have shown, as `Page.end` has it.
    before: Place
    size: int


class Shown(NamedTuple):
    """A recommended product. Source and kind are called as in the contract."""

    product: Product
    score: float
    source: str
    kind: str
    text: str
    product_ids: Sequence[str] = ()


class Page(NamedTuple):
    """A page of a list."""

    shown: list[Shown]
    first_rank: int
    # What was shown up to its end, if another one follows.
    end: Place | None
    # Of the ladder, called as in the contract.
    step: str
    # Who ranked it, if anybody did.
    serving: ServedModel[Recommender] | None


class Recommendations:
    """Makes the lists. The catalogue says what may show, and goes on where the model ends."""

    def __init__(self, promoted: Champion[Recommender], catalog: Catalog) -> None:
        self._promoted = promoted
        self._catalog = catalog
        # Of which model, and of how many of which products, the numbers were looked up last.
        self._known: tuple[Recommender | None, Products | None, int] = (None, None, 0)
        self._numbers: Ints = np.zeros(0, np.int32)

    async def for_customer(self, request: Request, asked: Asked) -> Page:
        """What a customer will want."""
        return await self._of_all(lambda model, allowed, limit: model.recommend(request, allowed, limit), asked)

    async def popular(self, country: str, asked: Asked) -> Page:
        """What sells, in a country or everywhere."""
        return await self._of_all(lambda model, allowed, limit: model.popular(country, allowed, limit), asked)

    async def similar(self, product_id: str, asked: Asked) -> Page:
        """What is like a product. Raises `NotFound` if nobody knows it."""
        serving, products = self._promoted.serving, self._catalog.products
        flags, draft = products.flags(asked.filters), _Draft(asked, products)
        if serving and product_id in serving.model.product_indices:
            allowed = flags[self._numbers_of(serving.model, products)]
            await asyncio.to_thread(lambda: draft.take_ranked(serving.model.similar(product_id, allowed, draft.limit)))
            return draft.page("BASKET", serving)
        product = products.get(product_id)
        if product is None:
            raise NotFound("product", product_id)
        alike = products.flags(Filters(product.category, in_stock=False))
        draft.take(flags & alike, "SIMILAR", f"It is of the same category as {product.name}.", [product_id])
        draft.take(flags & ~alike, *_IN_CATALOG)
        return draft.page(_CATALOG, None)

    async def _of_all(self, rank: Rank, asked: Asked) -> Page:
        """A list that goes on to the last product."""
        serving, products = self._promoted.serving, self._catalog.products
        flags, draft, step = products.flags(asked.filters), _Draft(asked, products), _CATALOG
        if serving:
            numbers = self._numbers_of(serving.model, products)
            step = await asyncio.to_thread(lambda: draft.take_ranked(rank(serving.model, flags[numbers], draft.limit)))
            flags[numbers] = False
        draft.take(flags, *_IN_CATALOG)
        return draft.page(step, serving)

    def _numbers_of(self, model: Recommender, products: Products) -> Ints:
        """The catalogue's numbers of the model's products."""
        known_model, known_products, count = self._known
        if known_model is not model or known_products is not products or count != len(products):
            self._numbers = products.numbers(model.history.product_ids.tolist())
            self._known = model, products, len(products)
        return self._numbers


# The ladder's last step, which is a source too; and what is said of a product of which nothing else is known.
_CATALOG = "CATALOG"
_IN_CATALOG = "IN_CATALOG", "It is in the catalogue."


class _Draft:
    """A page that is being filled, from the top down."""

    def __init__(self, asked: Asked, products: Products) -> None:
        self._before = asked.before
        self._hidden = frozenset(asked.before)
        self._size = min(asked.size, LONGEST - len(asked.before))
        # One more tells whether another page follows.
        self._wanted = self._size + 1
        self._products = products
        self._shown: list[Shown] = []
        self._least = 0.0

    @property
    def limit(self) -> int:
        """So many of a ranking are enough."""
        return len(self._before) + self._wanted

    def take_ranked(self, ranking: Ranking) -> str:
        """Takes what follows in a ranking; returns the ladder's step."""
        fresh = [place for place, id in enumerate(ranking.ids) if _mark(id) not in self._hidden]
        for one in ranking.shown(fresh[: self._wanted]):
            reason = one.reason
            # What has gone in the meantime is left out.
            if product := self._products.get(one.product_id):
                text = reason.text(self._products.name)
                self._shown.append(Shown(product, one.score, reason.source.name, reason.kind.name, text, reason.product_ids))
        self._least = min(ranking.score.tolist(), default=0.0)
        return ranking.step.name

    def take(self, flags: Flags, kind: str, text: str, product_ids: Sequence[str] = ()) -> None:
        """Takes what is flagged in the catalogue, in its own order: the newest first."""
        for number in np.flatnonzero(flags)[::-1].tolist():
            if len(self._shown) == self._wanted:
                return
            product = self._products.at(number)
            if product and _mark(product.id) not in self._hidden:
                self._shown.append(Shown(product, self._least, _CATALOG, kind, text, product_ids))

    def page(self, step: str, serving: ServedModel[Recommender] | None) -> Page:
        shown = self._shown[: self._size]
        follows = len(self._shown) > len(shown) and len(self._before) + len(shown) < LONGEST
        end = (*self._before, *(_mark(one.product.id) for one in shown)) if follows else None
        return Page(shown, len(self._before) + 1, end, step, serving)


def _mark(id: str) -> int:
    """What stands for a product in a page token, where many ids would have no room."""
    return crc32(id.encode())
