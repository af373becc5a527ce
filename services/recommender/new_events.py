"""Checks the events of a request, and fills in what their sender left out."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hashiramart.recommender.v1 import recommender_pb2
from mesh.errors import FieldViolation, InvalidArgument, PermissionDenied
from mesh.identity import Caller, Permission, Role
from mesh.timestamps import to_datetime
from services.recommender.domain import ORDER_KINDS, Event, EventKind, is_in_future

# How old what a shopper reports may be.
_SHOPPER_AGE = timedelta(days=30)


class EventRules(NamedTuple):
    """What events of a request have to fulfil."""

    caller: Caller
    now: datetime
    is_product: Callable[[str], bool]
    """Whether there is such a product."""
    history_start: datetime
    """The beginning of the sales history, before which an order system reports nothing."""
    shopper_orders_count: bool
    """Whether purchases and returns that shoppers report count for others."""

    @property
    def is_trusted(self) -> bool:
        """Whether the caller may report what others did: an order system, or staff."""
        return self.caller.role in (Role.SYSTEM, Role.STAFF, Role.ADMIN)

    @property
    def earliest(self) -> datetime:
        return self.history_start if self.is_trusted else max(self.now - _SHOPPER_AGE, datetime.min.replace(tzinfo=UTC))


def new_events(request: recommender_pb2.RecordEventsRequest, rules: EventRules) -> list[Event]:
    """The events to record.

    Raises `PermissionDenied` for a system without the permission, `InvalidArgument` with each field that is wrong.
    """
    caller = rules.caller
    if caller.role is Role.SYSTEM and Permission.WRITE_EVENTS not in caller.permissions:
        raise PermissionDenied("PERMISSION_MISSING", "this call needs the permission {permission}", permission=Permission.WRITE_EVENTS)
    violations = [
        FieldViolation(f"events[{index}].{field}", description)
        for index, message in enumerate(request.events)
        for field, description in _violations(message, rules)
    ]
    if violations:
        raise InvalidArgument("{field} is not valid; no event was recorded", violations=violations)
    return [_event(message, rules) for message in request.events]


def _violations(message: recommender_pb2.Event, rules: EventRules) -> Iterator[tuple[str, str]]:
    """The fields of an event that are wrong, and how."""
    if not rules.is_product(message.product_id):
        yield "product_id", "neither the catalogue nor the model has this product"
    if message.order_id and _kind(message) not in ORDER_KINDS:
        yield "order_id", "belongs to a purchase or a return"
    yield from _wrong_time(message, rules)
    caller = rules.caller
    if not rules.is_trusted:
        for field, own in (("user_id", caller.subject), ("customer_number", caller.customer_number or "")):
            if getattr(message, field) not in ("", own):
                yield field, "is another shopper's, for whom only order systems and staff report"
    elif caller.role is Role.SYSTEM and not message.user_id and not message.customer_number:
        yield "user_id", "is missing, and so is customer_number: whose event is it?"


def _wrong_time(message: recommender_pb2.Event, rules: EventRules) -> Iterator[tuple[str, str]]:
    if not message.HasField("event_time"):
        return
    try:
        event_time = to_datetime(message.event_time)
    except ValueError:
        yield "event_time", "is not a valid time"
        return
    if is_in_future(event_time, rules.now):
        yield "event_time", "must not be in the future"
    elif event_time < rules.earliest:
        yield "event_time", f"must not be before {rules.earliest.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _event(message: recommender_pb2.Event, rules: EventRules) -> Event:
    """A valid event as it is recorded."""
    caller, kind = rules.caller, _kind(message)
    is_own = not rules.is_trusted or not (message.user_id or message.customer_number)
    return Event(
        id=message.id or uuid.uuid4().hex,
        kind=kind,
        product_id=message.product_id,
        quantity=message.quantity or 1,
        # A clock that is a little fast must not put an event behind those that follow.
        event_time=min(to_datetime(message.event_time), rules.now) if message.HasField("event_time") else rules.now,
        user_id=caller.subject if is_own else message.user_id,
        customer_number=(caller.customer_number or "") if is_own else message.customer_number,
        model_version=message.model_version,
        recommendation_id=message.recommendation_id,
        slot=message.slot,
        position=message.position,
        order_id=message.order_id,
        unit_price_cents=message.unit_price_cents if message.HasField("unit_price_cents") else None,
        context=json.dumps(dict(message.context), sort_keys=True) if message.context else "",
        counts_for_others=kind not in ORDER_KINDS or rules.is_trusted or rules.shopper_orders_count,
    )


def _kind(message: recommender_pb2.Event) -> EventKind:
    return EventKind(recommender_pb2.EventKind.Name(message.kind).removeprefix("EVENT_KIND_").lower())
