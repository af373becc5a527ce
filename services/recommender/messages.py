"""Converts recommendations, purchases and events to messages, and requests to domain objects."""

import uuid
from datetime import datetime

from hashiramart.recommender.v1 import recommender_pb2
from mesh.errors import FieldViolation, InvalidArgument
from mesh.identity import Caller
from mesh.timestamps import timestamp, to_datetime
from services.recommender.domain import CustomerPurchase, Event, EventKind, RecentActivity, is_in_future
from services.recommender.pages import RecommendationPage, RecommendedProduct
from services.recommender.products import ProductFilter, Products

CustomerRequest = recommender_pb2.ListRecommendationsRequest | recommender_pb2.ListCustomerRecommendationsRequest
ListRequest = CustomerRequest | recommender_pb2.ListSimilarProductsRequest | recommender_pb2.ListPopularProductsRequest


def list_message(page: RecommendationPage, next_page_token: str) -> recommender_pb2.ListRecommendationsResponse:
    """A page of recommendations."""
    message = recommender_pb2.ListRecommendationsResponse(
        next_page_token=next_page_token, fallback_step=recommender_pb2.FallbackStep.Value(f"FALLBACK_STEP_{page.step}")
    )
    if page.served:
        message.model_version = page.served.version.number
        message.data_through_date = page.served.version.provenance.data_through_date.isoformat()
    for rank, recommended in enumerate(page.products, page.first_rank):
        message.recommendations.add(
            product=recommended.product,
            rank=rank,
            score=recommended.score,
            source=recommender_pb2.Source.Value(f"SOURCE_{recommended.source}"),
            reason=_reason_message(recommended),
        )
    return message


def purchase_message(purchase: CustomerPurchase, products: Products) -> recommender_pb2.Purchase:
    """A purchase, with the product as the catalogue has it now."""
    return recommender_pb2.Purchase(
        product_id=purchase.product_id,
        product=products.get(purchase.product_id),
        purchase_date=purchase.day.isoformat(),
        quantity=purchase.quantity,
    )


def event_message(event: Event) -> recommender_pb2.Event:
    """A recorded event."""
    return recommender_pb2.Event(
        id=event.id,
        kind=recommender_pb2.EventKind.Value(f"EVENT_KIND_{event.kind.name}"),
        product_id=event.product_id,
        quantity=event.quantity,
        event_time=timestamp(event.event_time),
        user_id=event.user_id,
        customer_number=event.customer_number,
        model_version=event.model_version,
    )


def new_events(request: recommender_pb2.RecordEventsRequest, user: Caller, now: datetime) -> list[Event]:
    """The events to record, with defaults for what the caller left out. Raises `InvalidArgument` for invalid and future times."""
    events: list[Event] = []
    violations: list[FieldViolation] = []
    for index, message in enumerate(request.events):
        try:
            events.append(_new_event(message, user, now))
        except ValueError as error:
            violations.append(FieldViolation(f"events[{index}].event_time", str(error)))
    if violations:
        raise InvalidArgument("event_time must be a valid time that is not in the future", violations=violations)
    return events


def in_stock(request: ListRequest) -> bool:
    """Whether products that are sold out are left out, which is the default."""
    return request.in_stock if request.HasField("in_stock") else True


def include_purchased(request: CustomerRequest) -> bool:
    """Whether products that were bought before may be shown, which is the default."""
    return request.include_purchased if request.HasField("include_purchased") else True


def customer_filter(request: CustomerRequest, activity: RecentActivity) -> ProductFilter:
    """The filter of a list for a customer: excluded products and those of the basket are left out, and purchases if requested."""
    excluded_ids = [*request.exclude_ids, *request.basket_ids]
    if not include_purchased(request):
        # The model leaves out the purchases that it knows; these are also those of products that it does not know.
        excluded_ids += (purchase.product_id for purchase in activity.purchases)
    return ProductFilter(
        request.category,
        in_stock(request),
        request.min_price_cents,
        request.max_price_cents if request.HasField("max_price_cents") else None,
        excluded_ids,
    )


def _reason_message(recommended: RecommendedProduct) -> recommender_pb2.Reason:
    kind = recommender_pb2.ReasonKind.Value(f"REASON_KIND_{recommended.kind}")
    return recommender_pb2.Reason(kind=kind, text=recommended.text, product_ids=recommended.product_ids)


def _new_event(message: recommender_pb2.Event, user: Caller, now: datetime) -> Event:
    """Raises `ValueError` if the time of the event is invalid."""
    event_time = _event_time(message, now)
    if is_in_future(event_time, now):
        raise ValueError("must not be in the future")
    return Event(
        id=message.id or uuid.uuid4().hex,
        kind=EventKind(recommender_pb2.EventKind.Name(message.kind).removeprefix("EVENT_KIND_").lower()),
        product_id=message.product_id,
        quantity=message.quantity or 1,
        event_time=event_time,
        user_id=user.subject,
        customer_number=user.customer_number or "",
        model_version=message.model_version,
    )


def _event_time(message: recommender_pb2.Event, now: datetime) -> datetime:
    if not message.HasField("event_time"):
        return now
    try:
        return to_datetime(message.event_time)
    except ValueError:
        raise ValueError("is not a valid time") from None
