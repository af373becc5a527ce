"""Events, and what they add to the sales history of a customer."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

# An older view or cart says nothing about what a user wants now.
INTEREST = timedelta(days=30)
# How far the clocks of a client and of this server may differ.
MAX_CLOCK_SKEW = timedelta(minutes=5)


class EventKind(StrEnum):
    """What a user or visitor did with a product."""

    VIEW = "view"
    CART = "cart"
    PURCHASE = "purchase"
    IMPRESSION = "impression"
    CLICK = "click"
    REMOVE_FROM_CART = "remove_from_cart"
    WISHLIST = "wishlist"
    DISMISS = "dismiss"
    RETURN = "return"


# The kinds that belong to an order.
ORDER_KINDS = frozenset({EventKind.PURCHASE, EventKind.RETURN})


class Event(NamedTuple):
    """Something that a user or visitor did with a product. Text that is not known is empty."""

    id: str
    kind: EventKind
    product_id: str
    quantity: int
    event_time: datetime
    user_id: str
    """The user or visitor; empty if only the customer number is known."""
    customer_number: str
    """The user's number in the sales history at the time."""
    model_version: str
    """The version whose list led to the event."""
    recommendation_id: str = ""
    """The list that led to the event."""
    slot: str = ""
    """Where the list was shown."""
    position: int = 0
    """The product's position in the list; 0 if it is not known."""
    order_id: str = ""
    unit_price_cents: int | None = None
    context: str = ""
    """What else the shop wants to know, as a JSON object."""
    counts_for_others: bool = True
    """Whether it is exported, or says something about its own shopper alone."""


class CustomerPurchase(NamedTuple):
    """How much a customer bought of a product on a day."""

    product_id: str
    day: date
    quantity: int


class RecentActivity(NamedTuple):
    """What the events of a customer add to the sales history. Product ids, latest event first."""

    purchases: list[CustomerPurchase]
    viewed: list[str]
    """Also those that were clicked, or put on the wishlist."""
    carted: list[str]
    dismissed: list[str]


def recent_activity(events: Iterable[Event], now: datetime, time_zone: tzinfo) -> RecentActivity:
    """Sorts events by what they say, in the order of their times, in which they need not have arrived.

    Views, carts and wishlists count for `INTEREST`, and not once the product was bought or dismissed, or taken out of the basket; a
    purchase until the pieces were given back; a dismissal until the product was put into the basket, on the wishlist, or bought.

    events: no impressions
    time_zone: the shop's, in which a purchase has its day
    """
    activity = RecentActivity([], [], [], [])
    returned: Counter[str] = Counter()
    settled: set[str] = set()
    removed: set[str] = set()
    wanted: set[str] = set()
    for event in sorted(_without_repeated_lines(events), key=attrgetter("event_time"), reverse=True):
        id, kind = event.product_id, event.kind
        if kind is EventKind.RETURN:
            returned[id] += event.quantity
        elif kind is EventKind.PURCHASE:
            given_back = min(returned[id], event.quantity)
            returned[id] -= given_back
            wanted.add(id)
            if event.quantity > given_back:
                settled.add(id)
                day = event.event_time.astimezone(time_zone).date()
                activity.purchases.append(CustomerPurchase(id, day, event.quantity - given_back))
        elif kind is EventKind.DISMISS:
            if id not in wanted and id not in settled:
                activity.dismissed.append(id)
            settled.add(id)
        elif kind is EventKind.REMOVE_FROM_CART:
            removed.add(id)
        else:
            if kind in (EventKind.CART, EventKind.WISHLIST):
                wanted.add(id)
            if id not in settled and event.event_time > now - INTEREST and not (kind is EventKind.CART and id in removed):
                (activity.carted if kind is EventKind.CART else activity.viewed).append(id)
    return activity


def _without_repeated_lines(events: Iterable[Event]) -> list[Event]:
    """The events without what a shopper says of lines of orders that an order system has reported as well."""
    events = list(events)
    reported = {(event.order_id, event.product_id, event.kind) for event in events if event.order_id and event.counts_for_others}
    return [event for event in events if event.counts_for_others or (event.order_id, event.product_id, event.kind) not in reported]


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


class ExposedProduct(NamedTuple):
    """A product of a list as it was shown."""

    product_id: str
    propensity: float
    """The probability with which it took its position."""
    rule_id: str
    """The rule that moved it; empty for none."""


class Exposure(NamedTuple):
    """A page of a list that was made for a user or visitor."""

    id: str
    user_id: str
    slot: str
    """Where it was shown; empty if that is not known."""
    model_version: str
    """Empty without a model."""
    fallback_step: str
    create_time: datetime
    first_position: int
    experiment_id: str
    """The experiment that the list was part of; empty for none."""
    arm: str
    """The arm of the experiment; empty for none."""
    products: tuple[ExposedProduct, ...]
    customer_number: str = ""
    """The shopper's number in the sales history, which is not kept with the list: experiments count what is reported by it."""
