"""Recommendations: the champion ranks the products that the catalogue has, and the catalogue's own order follows."""

import asyncio
from collections.abc import Callable
from datetime import datetime, time, tzinfo
from random import Random

import numpy as np
from numpy.typing import NDArray

from hashiramart.catalog.v1.catalog_pb2 import AVAILABILITY_ANY
from hashiramart.recommender.v1 import merchandising_pb2
from mesh.errors import InvalidArgument, NotFound
from ml.recommender.history import date_of
from ml.recommender.model import Recommender
from ml.recommender.ranking import Ranking
from ml.recommender.request import Purchase, RecommendationRequest
from ml.registry.champion import ServedModel
from services.recommender.catalog import CatalogFollower
from services.recommender.domain import CustomerPurchase, RecentActivity
from services.recommender.merchandising import Slot
from services.recommender.pages import CATALOG, IN_CATALOG, SIMILARITY, CatalogReason, PageBuilder, PageRequest, RecommendationPage
from services.recommender.products import ProductFilter, Products

# Ranks the best of a model's products: the model, which of its products may be shown, and how many are wanted.
Rank = Callable[[Recommender, NDArray[np.bool_], int], Ranking]


class Recommendations:
    """Recommends products, with a model or, before there is one, without."""

    def __init__(self, serving: Callable[[], ServedModel[Recommender] | None], catalog: CatalogFollower) -> None:
        """serving: the model to answer from now, such as the champion"""
        self._serving = serving
        self._catalog = catalog
        self._model_numbers = _ModelNumbers()
        # It decides what is explored, which nobody gains from foreseeing.
        self._random = Random()  # noqa: S311

    async def for_customer(
        self,
        customer_number: str,
        activity: RecentActivity,
        basket: list[str],
        page: PageRequest,
        *,
        country: str = "",
        include_purchased: bool = True,
    ) -> RecommendationPage:
        """Recommends to one customer.

        customer_number: in the sales history; may be unknown
        basket: the ids of the products in the basket
        country: as the sales history names it; if empty, the customer's country there
        include_purchased: whether products that the customer has bought before may be shown
        """
        purchases = [Purchase(*purchase) for purchase in activity.purchases]
        request = RecommendationRequest(customer_number, purchases, activity.viewed, activity.carted, basket, country, include_purchased)
        return await self._page_of(lambda model, allowed, limit: model.recommend(request, allowed, limit), page)

    async def of_slot(
        self,
        slot: Slot,
        customer_number: str,
        activity: RecentActivity,
        basket: list[str],
        page: PageRequest,
        *,
        product_id: str = "",
        country: str = "",
        include_purchased: bool = True,
    ) -> RecommendationPage:
        """What a slot shows to a customer. Raises `InvalidArgument` if it needs a product and none is given, `NotFound`."""
        if slot.source == merchandising_pb2.SLOT_SOURCE_POPULAR:
            return await self.popular(country, page)
        if slot.source == merchandising_pb2.SLOT_SOURCE_SIMILAR:
            if not product_id:
                raise InvalidArgument("the slot '{slot}' shows products similar to one: which?", field="product_id", slot=slot.id)
            excluded_ids = [*page.filter.excluded_ids, product_id]
            return await self.similar(product_id, page._replace(filter=page.filter._replace(excluded_ids=excluded_ids)))
        return await self.for_customer(customer_number, activity, basket, page, country=country, include_purchased=include_purchased)

    async def popular(self, country: str, page: PageRequest) -> RecommendationPage:
        """The products that sell best in a country, or everywhere if it is empty."""
        return await self._page_of(lambda model, allowed, limit: model.popular(country, allowed, limit), page)

    async def similar(self, product_id: str, page: PageRequest) -> RecommendationPage:
        """Products like this one. Raises `NotFound` if neither the model nor the catalogue has it."""
        served, products = self._serving(), self._catalog.products
        mask, builder = products.mask(page.filter), PageBuilder(page, products, self._random)
        if served and product_id in served.model.product_indices:
            allowed = mask[self._model_numbers.get(served.model, products)]

            def fill() -> RecommendationPage:
                builder.add_ranking(served.model.similar(product_id, allowed, builder.ranking_limit))
                return builder.build(SIMILARITY, served)

            return await asyncio.to_thread(fill)
        product = products.get(product_id)
        if product is None:
            raise NotFound("product", product_id)
        same_category = products.mask(ProductFilter(product.category, AVAILABILITY_ANY))
        reason = CatalogReason("SIMILAR", f"It is of the same category as {product.name}.", [product_id])
        builder.add_catalog(mask & same_category, reason)
        builder.add_catalog(mask & ~same_category, IN_CATALOG)
        return builder.build(CATALOG, None)

    async def _page_of(self, rank: Rank, page: PageRequest) -> RecommendationPage:
        """A list of all products: those of the model as it ranks them, then the rest of the catalogue."""
        served, products = self._serving(), self._catalog.products
        mask, builder = products.mask(page.filter), PageBuilder(page, products, self._random)
        if served is None:
            builder.add_catalog(mask, IN_CATALOG)
            return builder.build(CATALOG, None)
        numbers = self._model_numbers.get(served.model, products)

        def fill() -> RecommendationPage:
            ranking = rank(served.model, mask[numbers], builder.ranking_limit)
            builder.add_ranking(ranking)
            mask[numbers] = False
            builder.add_catalog(mask, IN_CATALOG)
            return builder.build(ranking.step.name, served)

        # The CPU time of an answer is spent here.
        return await asyncio.to_thread(fill)


def history_start(model: Recommender, time_zone: tzinfo) -> datetime | None:
    """The beginning of the sales history that the model was trained on, None if that is empty."""
    days = model.history.day
    return datetime.combine(date_of(int(days.min())), time.min, time_zone) if len(days) else None


def purchase_history(model: Recommender, customer_number: str) -> list[CustomerPurchase]:
    """The purchases of a customer in the sales history that the model was trained on; empty if it does not have the customer."""
    if customer_number not in model.customer_indices:
        return []
    return [CustomerPurchase(purchase.product_id, purchase.day, purchase.quantity) for purchase in model.purchases(customer_number)]


class _ModelNumbers:
    """The catalogue's numbers of a model's products. They are looked up anew when the model or the catalogue has others."""

    def __init__(self) -> None:
        self._key: tuple[Recommender | None, Products | None, int] = (None, None, 0)
        self._numbers: NDArray[np.int32] = np.zeros(0, np.int32)

    def get(self, model: Recommender, products: Products) -> NDArray[np.int32]:
        """The number of each product of the model, in the model's order; `UNKNOWN` for those that the catalogue does not have."""
        known_model, known_products, count = self._key
        if known_model is not model or known_products is not products or count != len(products):
            self._numbers = products.numbers(model.history.product_ids.tolist())
            self._key = model, products, len(products)
        return self._numbers
