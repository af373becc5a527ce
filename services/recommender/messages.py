"""Recommendations and events as the contract's messages."""

from hashiramart.recommender.v1 import recommender_pb2
from mesh.timestamps import timestamp
from ml.recommender.model import Purchase
from services.recommender.domain import Event, EventKind
from services.recommender.products import Products
from services.recommender.recommendations import Page


def list_message(page: Page, next_page_token: str) -> recommender_pb2.ListRecommendationsResponse:
    """A page of recommendations."""
    message = recommender_pb2.ListRecommendationsResponse(
        next_page_token=next_page_token, fallback_step=recommender_pb2.FallbackStep.Value(f"FALLBACK_STEP_{page.step}")
    )
    if page.serving:
        message.model_version = page.serving.version.number
        message.data_through_date = page.serving.version.provenance.data_through_date.isoformat()
    for rank, shown in enumerate(page.shown, page.first_rank):
        message.recommendations.add(
            product=shown.product,
            rank=rank,
            score=shown.score,
            source=recommender_pb2.Source.Value(f"SOURCE_{shown.source}"),
            reason=recommender_pb2.Reason(
                kind=recommender_pb2.ReasonKind.Value(f"REASON_KIND_{shown.kind}"), text=shown.text, product_ids=shown.product_ids
            ),
        )
    return message


def purchase_message(purchase: Purchase, products: Products) -> recommender_pb2.Purchase:
    """What a customer bought of a product on a day."""
    return recommender_pb2.Purchase(
        product_id=purchase.product_id,
        product=products.get(purchase.product_id),
        purchase_date=purchase.day.isoformat(),
        quantity=purchase.quantity,
    )


def event_kind(message: recommender_pb2.Event) -> EventKind:
    """What the message says that was done."""
    return EventKind(recommender_pb2.EventKind.Name(message.kind).removeprefix("EVENT_KIND_").lower())


def event_message(event: Event) -> recommender_pb2.Event:
    """The event, as it was recorded."""
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
