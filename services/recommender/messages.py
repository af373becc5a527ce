"""Converts recommendations, purchases and events to messages, and requests to domain objects."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from hashiramart.catalog.v1.catalog_pb2 import AVAILABILITY_IN_STOCK, Availability
from hashiramart.recommender.v1 import experiments_pb2, merchandising_pb2, recommender_pb2
from mesh.errors import InvalidArgument
from mesh.identity import Caller
from mesh.timestamps import timestamp, to_datetime
from services.recommender.arrangement import Arrangement
from services.recommender.domain import CustomerPurchase, Event, EventKind, ExposedProduct, Exposure, RecentActivity
from services.recommender.experiments import Participation
from services.recommender.pages import RecommendationPage, RecommendedProduct
from services.recommender.products import ProductFilter, Products

CustomerRequest = recommender_pb2.ListRecommendationsRequest | recommender_pb2.ListCustomerRecommendationsRequest
ListRequest = CustomerRequest | recommender_pb2.ListSimilarProductsRequest | recommender_pb2.ListPopularProductsRequest


def list_message(page: RecommendationPage, next_page_token: str, time_zone: str) -> recommender_pb2.ListRecommendationsResponse:
    """A page of recommendations. time_zone: of the days, an IANA name"""
    message = recommender_pb2.ListRecommendationsResponse(
        next_page_token=next_page_token,
        fallback_step=recommender_pb2.FallbackStep.Value(f"FALLBACK_STEP_{page.step}"),
        time_zone=time_zone,
    )
    if page.served:
        message.model_version = page.served.version.number
        message.data_through_date = page.served.version.provenance.data_through_date.isoformat()
    for rank, recommended in enumerate(page.products, page.first_rank):
        message.recommendations.add(
            product=recommended.product,
            rank=rank,
            score=recommended.score,
            rule_id=recommended.placement.rule_id,
            is_explored=recommended.placement.is_explored,
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
        kind=_kind_value(event.kind),
        product_id=event.product_id,
        quantity=event.quantity,
        event_time=timestamp(event.event_time),
        user_id=event.user_id,
        customer_number=event.customer_number,
        model_version=event.model_version,
        recommendation_id=event.recommendation_id,
        slot=event.slot,
        position=event.position,
        order_id=event.order_id,
        unit_price_cents=event.unit_price_cents,
        context=json.loads(event.context) if event.context else None,
    )


def exposure(
    page: RecommendationPage, id: str, shopper: Caller, slot: str, participation: Participation | None, create_time: datetime
) -> Exposure:
    """The exposure of a shopper to a page of a list."""
    return Exposure(
        id,
        shopper.subject,
        slot,
        page.served.version.number if page.served else "",
        page.step,
        create_time,
        page.first_rank,
        *(participation or ("", "")),
        tuple(ExposedProduct(*each.placement[:3]) for each in page.products),
        shopper.customer_number or "",
    )


def exposure_message(exposure: Exposure, attributions: Mapping[tuple[str, str], Iterable[EventKind]]) -> recommender_pb2.Exposure:
    """An exposure, with what the shopper did with its products, by list and product."""
    return recommender_pb2.Exposure(
        recommendation_id=exposure.id,
        user_id=exposure.user_id,
        slot=exposure.slot,
        model_version=exposure.model_version,
        fallback_step=recommender_pb2.FallbackStep.Value(f"FALLBACK_STEP_{exposure.fallback_step}"),
        create_time=timestamp(exposure.create_time),
        experiment_id=exposure.experiment_id,
        arm=arm_value(exposure.arm) if exposure.arm else experiments_pb2.EXPERIMENT_ARM_UNSPECIFIED,
        products=(
            recommender_pb2.ExposedProduct(
                product_id=product.product_id,
                position=position,
                propensity=product.propensity,
                rule_id=product.rule_id,
                event_kinds=(_kind_value(kind) for kind in sorted(attributions.get((exposure.id, product.product_id), ()))),
            )
            for position, product in enumerate(exposure.products, exposure.first_position)
        ),
    )


def arm_value(arm: str) -> experiments_pb2.ExperimentArm.ValueType:
    """The contract's value for an arm."""
    return experiments_pb2.ExperimentArm.Value(f"EXPERIMENT_ARM_{arm.upper()}")


def arm_name(arm: experiments_pb2.ExperimentArm.ValueType) -> str:
    """The arm that a value of the contract stands for; empty if it is not specified."""
    return experiments_pb2.ExperimentArm.Name(arm).removeprefix("EXPERIMENT_ARM_").lower() if arm else ""


def preview_time(request: merchandising_pb2.PreviewRecommendationsRequest) -> datetime:
    """The time for which a list is previewed. Raises `InvalidArgument` if it is not valid."""
    return valid_time(request.time, "time") if request.HasField("time") else datetime.now(UTC)


def valid_time(value: Timestamp, field: str) -> datetime:
    """The time in a field of a request. Raises `InvalidArgument` if it is none."""
    try:
        return to_datetime(value)
    except ValueError:
        raise InvalidArgument("{field} is not a valid time", field=field) from None


def availability(request: ListRequest) -> Availability.ValueType:
    """Which products to list by their stock: by default those in stock."""
    return request.availability or AVAILABILITY_IN_STOCK


def include_purchased(request: CustomerRequest) -> bool:
    """Whether products that were bought before may be shown, which is the default."""
    return request.include_purchased if request.HasField("include_purchased") else True


def customer_filter(request: CustomerRequest, activity: RecentActivity, arrangement: Arrangement) -> ProductFilter:
    """The filter of a list for a customer: excluded, dismissed and basket products are left out, and purchases if requested."""
    excluded_ids = [*request.exclude_ids, *request.basket_ids, *activity.dismissed, *arrangement.excluded_ids]
    if not include_purchased(request):
        # The model leaves out the purchases that it knows; these are also those of products that it does not know.
        excluded_ids += (purchase.product_id for purchase in activity.purchases)
    return ProductFilter(
        request.category,
        availability(request),
        request.min_price_cents,
        request.max_price_cents if request.HasField("max_price_cents") else None,
        excluded_ids,
        arrangement.excluded_categories,
    )


def _reason_message(recommended: RecommendedProduct) -> recommender_pb2.Reason:
    kind = recommender_pb2.ReasonKind.Value(f"REASON_KIND_{recommended.kind}")
    return recommender_pb2.Reason(kind=kind, text=recommended.text, product_ids=recommended.product_ids)


def _kind_value(kind: EventKind) -> recommender_pb2.EventKind.ValueType:
    return recommender_pb2.EventKind.Value(f"EVENT_KIND_{kind.name}")
