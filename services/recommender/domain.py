"""What users do with products, and what that tells of them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from ml.recommender.model import Purchase

# For so long a product that was looked at, or put into the basket, tells of what a user has in mind.
INTEREST = timedelta(days=30)


class EventKind(StrEnum):
    """What a user did with a product."""

    VIEW = "view"
    CART = "cart"
    PURCHASE = "purchase"
    IMPRESSION = "impression"


class Event(NamedTuple):
    """Something that a user did."""

    id: str
    kind: EventKind
    product_id: str
    quantity: int
    event_time: datetime
    user_id: str
    # The user's number in the sales history at the time; empty if there was none.
    customer_number: str
    # The version whose list led to it; may be empty.
    model_version: str


class Told(NamedTuple):
    """What somebody's events tell that the sales history does not."""

    purchases: list[Purchase]
    viewed: list[str]
    carted: list[str]


def told(events: Iterable[Event], now: datetime) -> Told:
    """What these events tell, the latest first. What was bought is no longer looked for."""
    known = Told([], [], [])
    bought: set[str] = set()
    for event in events:
        if event.kind is EventKind.PURCHASE:
            bought.add(event.product_id)
            known.purchases.append(Purchase(event.product_id, event.event_time.astimezone(UTC).date(), event.quantity))
        elif event.product_id not in bought and event.event_time > now - INTEREST:
            (known.carted if event.kind is EventKind.CART else known.viewed).append(event.product_id)
    return known


def all_purchases(history: Iterable[Purchase], latest: Iterable[Purchase]) -> list[Purchase]:
    """What the sales history tells of a customer, and what is not in it yet: one for each product and day, the latest first."""
    known = {(purchase.day, purchase.product_id): purchase for purchase in history}
    fresh: dict[tuple[date, str], int] = {}
    for purchase in latest:
        key = purchase.day, purchase.product_id
        if key not in known:
            fresh[key] = fresh.get(key, 0) + purchase.quantity
    both = [*known.values(), *(Purchase(product_id, day, quantity) for (day, product_id), quantity in fresh.items())]
    return sorted(both, key=place)


def place(purchase: Purchase) -> tuple[int, str]:
    """Where a purchase is in a list: the latest come first."""
    return -purchase.day.toordinal(), purchase.product_id
