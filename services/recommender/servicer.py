"""The RPCs of the recommender service."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime

import grpc.aio
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from mesh.errors import NotFound, Unavailable
from mesh.idempotency import idempotent_request
from mesh.identity import caller
from mesh.paging import PageTokens, page_size
from ml.recommender.model import Recommender
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.models import ModelServicer
from services.recommender.catalog import CatalogFollower
from services.recommender.domain import Event, merge_purchases, purchase_key, recent_activity
from services.recommender.messages import (
    CustomerRequest,
    ListRequest,
    customer_filter,
    event_message,
    in_stock,
    include_purchased,
    list_message,
    new_events,
    purchase_message,
)
from services.recommender.pages import PageRequest, RecommendationPage
from services.recommender.products import ProductFilter
from services.recommender.recommendations import Recommendations, purchase_history
from services.recommender.repository import EventRepository

_log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Message, Message]
ListResponse = recommender_pb2.ListRecommendationsResponse

# How many products and events a page has if the request does not say, and the most events it may have.
_DEFAULT_LIST_SIZE = 10
_DEFAULT_EXPORT_SIZE, _MAX_EXPORT_SIZE = 1000, 10_000


class RecommenderServicer(ModelServicer[Recommender], recommender_pb2_grpc.RecommenderServiceServicer):
    """Recommends products, and records what users do with them."""

    def __init__(
        self,
        registry: RegistryClient,
        champion: Champion[Recommender],
        catalog: CatalogFollower,
        events: EventRepository,
        page_tokens: PageTokens,
        export_tokens: PageTokens,
    ) -> None:
        """export_tokens: the page tokens of ListEvents, which live from one export to the next"""
        super().__init__(registry, champion, page_tokens)
        self._recommendations = Recommendations(champion, catalog)
        self._catalog = catalog
        self._events = events
        self._export_tokens = export_tokens

    async def ListRecommendations(self, request: recommender_pb2.ListRecommendationsRequest, context: Context) -> ListResponse:
        user = caller()
        events = await _latest(self._events.latest_of_user(user.subject))
        # The sales history has the purchases of a user without a number under the user's id.
        return await self._list_for_customer(user.customer_number or user.subject, events, request)

    async def ListSimilarProducts(self, request: recommender_pb2.ListSimilarProductsRequest, context: Context) -> ListResponse:
        filter = ProductFilter(in_stock=in_stock(request), excluded_ids=[request.product_id])
        return self._response(request, await self._recommendations.similar(request.product_id, self._page_request(request, filter)))

    async def ListPopularProducts(self, request: recommender_pb2.ListPopularProductsRequest, context: Context) -> ListResponse:
        filter = ProductFilter(request.category, in_stock(request))
        return self._response(request, await self._recommendations.popular(request.country, self._page_request(request, filter)))

    async def ListCustomerRecommendations(
        self, request: recommender_pb2.ListCustomerRecommendationsRequest, context: Context
    ) -> ListResponse:
        events = await _latest(self._events.latest_of_customer(request.customer_number))
        if not events and request.customer_number not in self.serving.model.customer_indices:
            raise NotFound("customer", request.customer_number)
        return await self._list_for_customer(request.customer_number, events, request)

    async def ListCustomerPurchases(
        self, request: recommender_pb2.ListCustomerPurchasesRequest, context: Context
    ) -> recommender_pb2.ListCustomerPurchasesResponse:
        after, size = self._page_tokens.read(request), page_size(request.page_size)
        model, products = self.serving.model, self._catalog.products
        events = await _latest(self._events.latest_of_customer(request.customer_number))
        recent = recent_activity(events, datetime.now(UTC)).purchases
        purchases = await asyncio.to_thread(lambda: merge_purchases(purchase_history(model, request.customer_number), recent))
        if not purchases:
            raise NotFound("customer", request.customer_number)
        following = [purchase for purchase in purchases if purchase_key(purchase) > after] if after else purchases
        page = following[:size]
        return recommender_pb2.ListCustomerPurchasesResponse(
            purchases=(purchase_message(purchase, products) for purchase in page),
            next_page_token=self._page_tokens.write(request, purchase_key(page[-1])) if len(following) > size else "",
        )

    async def RecordEvents(self, request: recommender_pb2.RecordEventsRequest, context: Context) -> recommender_pb2.RecordEventsResponse:
        user = caller()
        events = new_events(request, user, datetime.now(UTC))
        recorded = await self._events.record(user.subject, events, idempotent_request(request))
        return recommender_pb2.RecordEventsResponse(recorded_count=recorded, duplicate_count=len(events) - recorded)

    async def ListEvents(self, request: recommender_pb2.ListEventsRequest, context: Context) -> recommender_pb2.ListEventsResponse:
        after, size = self._export_tokens.read(request), page_size(request.page_size, _DEFAULT_EXPORT_SIZE, _MAX_EXPORT_SIZE)
        page = await self._events.page_after(int(str(after[0])) if after else 0, size)
        return recommender_pb2.ListEventsResponse(
            events=map(event_message, page.events),
            next_page_token=self._export_tokens.write(request, (page.through,)),
            has_more=page.has_more,
            forgotten_user_ids=page.forgotten_user_ids,
        )

    async def ForgetUser(self, request: recommender_pb2.ForgetUserRequest, context: Context) -> Empty:
        await self._events.forget_user(request.user_id)
        _log.info("user forgotten", user_id=request.user_id)
        return Empty()

    async def _list_for_customer(self, customer_number: str, events: list[Event], request: CustomerRequest) -> ListResponse:
        activity = recent_activity(events, datetime.now(UTC))
        page = await self._recommendations.for_customer(
            customer_number,
            activity,
            list(request.basket_ids),
            self._page_request(request, customer_filter(request, activity)),
            include_purchased=include_purchased(request),
        )
        return self._response(request, page)

    def _page_request(self, request: ListRequest, filter: ProductFilter) -> PageRequest:
        return PageRequest(filter, self._page_tokens.read(request) or (), page_size(request.page_size, _DEFAULT_LIST_SIZE))

    def _response(self, request: ListRequest, page: RecommendationPage) -> ListResponse:
        return list_message(page, self._page_tokens.write(request, page.end) if page.end else "")


async def _latest(events: Awaitable[list[Event]]) -> list[Event]:
    """The events, or none while the database is unavailable: recommendations without them are better than none."""
    try:
        return await events
    except Unavailable:
        _log.warning("answering without the latest events")
        return []
