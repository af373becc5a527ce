"""Recommendations: the champion ranks the products that the catalogue has, and the catalogue's own order follows."""

import asyncio
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mesh.errors import NotFound
from ml.recommender.model import Recommender
from ml.recommender.ranking import Ranking
from ml.recommender.request import Purchase, RecommendationRequest
from ml.registry.champion import Champion
from services.recommender.catalog import CatalogFollower
from services.recommender.domain import CustomerPurchase, RecentActivity
from services.recommender.pages import CATALOG, PageBuilder, PageRequest, RecommendationPage
from services.recommender.products import ProductFilter, Products

# Ranks the best of a model's products: the model, which of its products may be shown, and how many are wanted.
Rank = Callable[[Recommender, NDArray[np.bool_], int], Ranking]

# The kind and text of the reason for a product of which nothing more is known.
_IN_CATALOG = "IN_CATALOG", "It is in the catalogue."


class Recommendations:
    """Recommends products, with the champion or, before there is one, without."""

    def __init__(self, champion: Champion[Recommender], catalog: CatalogFollower) -> None:
        self._champion = champion
        self._catalog = catalog
        self._model_numbers = _ModelNumbers()

    async def for_customer(
        self, customer_number: str, activity: RecentActivity, basket: list[str], page: PageRequest, *, include_purchased: bool
    ) -> RecommendationPage:
        """Recommends to one customer.

        customer_number: in the sales history; may be unknown
        basket: the ids of the products in the basket
        include_purchased: whether products that the customer has bought before may be shown
        """
        purchases = [Purchase(*purchase) for purchase in activity.purchases]
        request = RecommendationRequest(
            customer_number, purchases, activity.viewed, activity.carted, basket, include_purchased=include_purchased
        )
        return await self._page_of(lambda model, allowed, limit: model.recommend(request, allowed, limit), page)

    async def popular(self, country: str, page: PageRequest) -> RecommendationPage:
        """The products that sell best in a country, or everywhere if it is empty."""
        return await self._page_of(lambda model, allowed, limit: model.popular(country, allowed, limit), page)

    async def similar(self, product_id: str, page: PageRequest) -> RecommendationPage:
        """Products like this one. Raises `NotFound` if neither the model nor the catalogue has it."""
        served, products = self._champion.serving, self._catalog.products
        mask, builder = products.mask(page.filter), PageBuilder(page, products)
        if served and product_id in served.model.product_indices:
            allowed = mask[self._model_numbers.get(served.model, products)]
            await asyncio.to_thread(lambda: builder.add_ranking(served.model.similar(product_id, allowed, builder.ranking_limit)))
            return builder.build("BASKET", served)
        product = products.get(product_id)
        if product is None:
            raise NotFound("product", product_id)
        same_category = products.mask(ProductFilter(product.category, in_stock=False))
        builder.add_catalog(mask & same_category, "SIMILAR", f"It is of the same category as {product.name}.", [product_id])
        builder.add_catalog(mask & ~same_category, *_IN_CATALOG)
        return builder.build(CATALOG, None)

    async def _page_of(self, rank: Rank, page: PageRequest) -> RecommendationPage:
        """A list of all products: those of the model as it ranks them, then the rest of the catalogue."""
        served, products = self._champion.serving, self._catalog.products
        mask, builder, step = products.mask(page.filter), PageBuilder(page, products), CATALOG
        if served:
            numbers = self._model_numbers.get(served.model, products)
            step = await asyncio.to_thread(_add_ranking, builder, rank, served.model, mask[numbers])
            mask[numbers] = False
        builder.add_catalog(mask, *_IN_CATALOG)
        return builder.build(step, served)


def purchase_history(model: Recommender, customer_number: str) -> list[CustomerPurchase]:
    """The purchases of a customer in the sales history that the model was trained on; empty if it does not have the customer."""
    if customer_number not in model.customer_indices:
        return []
    return [CustomerPurchase(purchase.product_id, purchase.day, purchase.quantity) for purchase in model.purchases(customer_number)]


def _add_ranking(builder: PageBuilder, rank: Rank, model: Recommender, allowed: NDArray[np.bool_]) -> str:
    """Adds what a model ranks; returns the fallback step. The CPU time of an answer is spent here, so it runs in a thread."""
    ranking = rank(model, allowed, builder.ranking_limit)
    builder.add_ranking(ranking)
    return ranking.step.name


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
