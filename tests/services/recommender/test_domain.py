"""What events add to the sales history of a customer."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.recommender.domain import (
    INTEREST,
    MAX_CLOCK_SKEW,
    CustomerPurchase,
    Event,
    EventKind,
    is_in_future,
    merge_purchases,
    purchase_key,
    recent_activity,
)

NOW = datetime(2020, 6, 1, 12, tzinfo=UTC)
MONDAY, TUESDAY = date(2020, 5, 25), date(2020, 5, 26)


def event(kind: EventKind, product_id: str, age: timedelta = timedelta(0), quantity: int = 1) -> Event:
    return Event("", kind, product_id, quantity, NOW - age, "ann", "04", "")


def test_events_are_sorted_by_kind_latest_first() -> None:
    events = [
        event(EventKind.VIEW, "tea"),
        event(EventKind.CART, "mug"),
        event(EventKind.PURCHASE, "pot", quantity=2),
        event(EventKind.VIEW, "cup"),
    ]
    assert recent_activity(events, NOW, UTC) == ([("pot", NOW.date(), 2)], ["tea", "cup"], ["mug"], [])


def test_a_view_or_cart_before_a_purchase_of_the_product_does_not_count() -> None:
    events = [event(EventKind.VIEW, "pot"), event(EventKind.PURCHASE, "pot"), event(EventKind.CART, "pot"), event(EventKind.VIEW, "pot")]
    activity = recent_activity(events, NOW, UTC)
    assert (activity.viewed, activity.carted) == (["pot"], [])


def test_views_and_carts_expire_and_purchases_do_not() -> None:
    events = [event(kind, kind.value, INTEREST) for kind in (EventKind.VIEW, EventKind.CART, EventKind.PURCHASE)]
    activity = recent_activity(events, NOW, UTC)
    assert (activity.viewed, activity.carted, [purchase.product_id for purchase in activity.purchases]) == ([], [], ["purchase"])


def test_events_count_in_the_order_of_their_times() -> None:
    late = [event(EventKind.VIEW, "pot", timedelta(hours=2)), event(EventKind.PURCHASE, "pot", timedelta(hours=1))]
    assert recent_activity(late, NOW, UTC).viewed == []
    assert recent_activity(reversed(late), NOW, UTC).viewed == []


def test_a_return_takes_back_as_many_pieces() -> None:
    events = [event(EventKind.RETURN, "pot", quantity=2), event(EventKind.PURCHASE, "pot", timedelta(hours=1), quantity=3)]
    assert [purchase.quantity for purchase in recent_activity(events, NOW, UTC).purchases] == [1]


def test_a_dismissal_counts_until_the_product_is_wanted_again() -> None:
    dismissed, cart = event(EventKind.DISMISS, "pot", timedelta(hours=1)), event(EventKind.CART, "pot")
    assert recent_activity([event(EventKind.VIEW, "pot"), dismissed], NOW, UTC).dismissed == ["pot"]
    activity = recent_activity([cart, dismissed], NOW, UTC)
    assert (activity.dismissed, activity.carted) == ([], ["pot"])


def test_a_purchase_has_its_day_in_the_shops_time_zone() -> None:
    evening = [event(EventKind.PURCHASE, "pot")._replace(event_time=datetime(2020, 5, 26, 2, tzinfo=UTC))]
    days = [recent_activity(evening, NOW, ZoneInfo(zone)).purchases[0].day for zone in ("America/New_York", "Europe/London")]
    assert days == [MONDAY, TUESDAY]


def test_purchases_of_a_product_and_day_are_merged_unless_the_history_has_them() -> None:
    history = [CustomerPurchase("pot", MONDAY, 3)]
    recent = [CustomerPurchase("pot", MONDAY, 3), CustomerPurchase("tea", TUESDAY, 1), CustomerPurchase("tea", TUESDAY, 2)]
    assert merge_purchases(history, recent) == [CustomerPurchase("tea", TUESDAY, 3), CustomerPurchase("pot", MONDAY, 3)]


def test_merged_purchases_are_in_the_order_of_their_keys() -> None:
    purchases = [CustomerPurchase(product_id, day, 1) for product_id in ("b", "a", "c") for day in (MONDAY, TUESDAY)]
    merged = merge_purchases(purchases[:4], purchases[4:])
    assert [(purchase.day, purchase.product_id) for purchase in merged[:3]] == [(TUESDAY, "a"), (TUESDAY, "b"), (TUESDAY, "c")]
    assert merged == sorted(purchases, key=purchase_key)


def test_clocks_may_differ() -> None:
    assert not is_in_future(NOW + MAX_CLOCK_SKEW, NOW)
    assert is_in_future(NOW + MAX_CLOCK_SKEW + timedelta(seconds=1), NOW)
