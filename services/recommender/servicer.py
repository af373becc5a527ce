"""The RPCs of the recommender service."""

import asyncio
import uuid
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime, timedelta

import grpc.aio
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from mesh.errors import FieldViolation, InvalidArgument, NotFound, Unavailable
from mesh.idempotency import idempotent_request
from mesh.identity import caller
from mesh.paging import PageTokens, page_size
from mesh.timestamps import to_datetime
from ml.recommender.model import Purchase, Recommender
from ml.recommender.model import Request as Wish
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.models import ModelServicer
from services.recommender.catalog import Catalog
from services.recommender.domain import Event, all_purchases, place, told
from services.recommender.messages import event_kind, event_message, list_message, purchase_message
from services.recommender.products import Filters
from services.recommender.recommendations import Asked, Page, Recommendations
from services.recommender.repository import EventRepository

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Message, Message]
Response = recommender_pb2.ListRecommendationsResponse
Wanted = recommender_pb2.ListRecommendationsRequest | recommender_pb2.ListCustomerRecommendationsRequest
Listing = Wanted | recommender_pb2.ListSimilarProductsRequest | recommender_pb2.ListPopularProductsRequest


class RecommenderServicer(ModelServicer[Recommender], recommender_pb2_grpc.RecommenderServiceServicer):
    """Recommends products, and takes in what users do with them."""

    def __init__(
        self,
        registry: RegistryClient,
        promoted: Champion[Recommender],
        catalog: Catalog,
        events: EventRepository,
        page_tokens: PageTokens,
        export_tokens: PageTokens,
    ) -> None:
        """export_tokens: of the list of events, which goes on from one export to the next"""
        super().__init__(registry, promoted, page_tokens)
        self._recommendations = Recommendations(promoted, catalog)
        self._catalog = catalog
        self._events = events
        self._export_tokens = export_tokens

    async def ListRecommendations(self, request: recommender_pb2.ListRecommendationsRequest, context: Context) -> Response:
        user = caller()
        # The purchases of a user without a number come to the sales history under the user's id.
        number = user.customer_number or user.subject
        return await self._for_customer(number, await self._latest(self._events.of_user(user.subject)), request)

    async def ListSimilarProducts(self, request: recommender_pb2.ListSimilarProductsRequest, context: Context) -> Response:
        filters = Filters(in_stock=_in_stock(request), excluded_ids=[request.product_id])
        return self._response(request, await self._recommendations.similar(request.product_id, self._asked(request, filters)))

    async def ListPopularProducts(self, request: recommender_pb2.ListPopularProductsRequest, context: Context) -> Response:
        filters = Filters(request.category, _in_stock(request))
        return self._response(request, await self._recommendations.popular(request.country, self._asked(request, filters)))

    async def ListCustomerRecommendations(self, request: recommender_pb2.ListCustomerRecommendationsRequest, context: Context) -> Response:
        events = await self._latest(self._events.of_customer(request.customer_number))
        if not events and request.customer_number not in self.serving.model.customer_indices:
            raise NotFound("customer", request.customer_number)
        return await self._for_customer(request.customer_number, events, request)

    async def ListCustomerPurchases(
        self, request: recommender_pb2.ListCustomerPurchasesRequest, context: Context
    ) -> recommender_pb2.ListCustomerPurchasesResponse:
        after, size = self._page_tokens.read(request), page_size(request.page_size)
        model, products = self.serving.model, self._catalog.products
        latest = told(await self._latest(self._events.of_customer(request.customer_number)), datetime.now(UTC)).purchases
        bought = await asyncio.to_thread(lambda: all_purchases(_in_history(model, request.customer_number), latest))
        if not bought:
            raise NotFound("customer", request.customer_number)
        following = [purchase for purchase in bought if after is None or place(purchase) > after]
        shown = following[:size]
        return recommender_pb2.ListCustomerPurchasesResponse(
            purchases=(purchase_message(purchase, products) for purchase in shown),
            next_page_token=self._page_tokens.write(request, place(shown[-1])) if len(following) > size else "",
        )

    async def RecordEvents(self, request: recommender_pb2.RecordEventsRequest, context: Context) -> recommender_pb2.RecordEventsResponse:
        recorded = await self._events.record(caller().subject, _events(request), idempotent_request(request))
        return recommender_pb2.RecordEventsResponse(recorded_count=recorded, duplicate_count=len(request.events) - recorded)

    async def ListEvents(self, request: recommender_pb2.ListEventsRequest, context: Context) -> recommender_pb2.ListEventsResponse:
        after, size = self._export_tokens.read(request), page_size(request.page_size, EXPORTED, MOST_EXPORTED)
        told = await self._events.after(int(str(after[0])) if after else 0, size)
        return recommender_pb2.ListEventsResponse(
            events=map(event_message, told.events),
            next_page_token=self._export_tokens.write(request, (told.through,)),
            has_more=told.has_more,
            forgotten_user_ids=told.forgotten,
        )

    async def ForgetUser(self, request: recommender_pb2.ForgetUserRequest, context: Context) -> Empty:
        await self._events.forget(request.user_id)
        log.info("user forgotten", user_id=request.user_id)
        return Empty()

    async def _for_customer(self, customer_number: str, events: Iterable[Event], request: Wanted) -> Response:
        known = told(events, datetime.now(UTC))
        include_purchased = request.include_purchased if request.HasField("include_purchased") else True
        wish = Wish(customer_number, *known, request.basket_ids, include_purchased=include_purchased)
        filters = Filters(
            request.category,
            _in_stock(request),
            request.min_price_cents,
            request.max_price_cents if request.HasField("max_price_cents") else None,
            # What the model does not know it cannot leave out.
            [*request.exclude_ids, *request.basket_ids, *(() if include_purchased else (one.product_id for one in known.purchases))],
        )
        return self._response(request, await self._recommendations.for_customer(wish, self._asked(request, filters)))

    async def _latest(self, events: Awaitable[list[Event]]) -> list[Event]:
        """The events; none while they cannot be had, since an answer without them is better than none."""
        try:
            return await events
        except Unavailable:
            log.warning("answering without the latest events")
            return []

    def _asked(self, request: Listing, filters: Filters) -> Asked:
        return Asked(filters, self._page_tokens.read(request) or (), page_size(request.page_size, RECOMMENDED))

    def _response(self, request: Listing, page: Page) -> Response:
        return list_message(page, self._page_tokens.write(request, page.end) if page.end else "")


# How many are answered if the caller does not say.
RECOMMENDED = 10
EXPORTED, MOST_EXPORTED = 1000, 10_000
# What clocks may differ by.
AHEAD = timedelta(minutes=5)


def _in_stock(request: Listing) -> bool:
    return request.in_stock if request.HasField("in_stock") else True


def _in_history(model: Recommender, customer_number: str) -> list[Purchase]:
    return model.purchases(customer_number) if customer_number in model.customer_indices else []


def _events(request: recommender_pb2.RecordEventsRequest) -> list[Event]:
    """The events, as the caller's. Raises `InvalidArgument` for times that are none, or still to come."""
    user, now = caller(), datetime.now(UTC)
    events, wrong = [], []
    for index, message in enumerate(request.events):
        try:
            time = to_datetime(message.event_time) if message.HasField("event_time") else now
        except ValueError:
            wrong.append(FieldViolation(f"events[{index}].event_time", "is no time"))
            continue
        if time > now + AHEAD:
            wrong.append(FieldViolation(f"events[{index}].event_time", "must not be in the future"))
        id, quantity = message.id or uuid.uuid4().hex, message.quantity or 1
        number = user.customer_number or ""
        events.append(Event(id, event_kind(message), message.product_id, quantity, time, user.subject, number, message.model_version))
    if wrong:
        raise InvalidArgument("an event cannot have happened then", violations=wrong)
    return events
