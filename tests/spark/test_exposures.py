"""Exposures: what shoppers saw of the lists that they were shown, and what followed from it."""

import json
from collections.abc import Sequence
from datetime import date, datetime

from tests.spark.shop import Shop, line, values

COLUMNS = ("recommendation_id", "customer_number", "product_id", "position", "propensity", "click_time", "purchase_time")


def show(shop: Shop, id: str, user: str, *products: tuple[str, float], time: str = "2011-01-03T09:00:00Z") -> None:
    """Exports a list into the raw zone, of products with their propensities."""
    folder = shop.raw / "exposures"
    folder.mkdir(parents=True, exist_ok=True)
    shown = [{"product_id": product, "position": place, "propensity": p} for place, (product, p) in enumerate(products, 1)]
    made = {"recommendation_id": id, "user_id": user, "slot": "home", "create_time": time, "products": shown}
    (folder / f"{id}.json").write_text(json.dumps(made))


def event(kind: str, list_id: str, user: str, product: str, minute: int, *, day: int = 3, number: str = "") -> dict[str, object]:
    """An event that followed from a list."""
    return {
        "id": f"{kind}-{list_id}-{user}-{product}-{minute}",
        "kind": f"EVENT_KIND_{kind}",
        "product_id": product,
        "user_id": user,
        "customer_number": number,
        "event_time": f"2011-01-{day:02}T09:{minute:02}:00Z",
        "recommendation_id": list_id,
    }


def at(minute: int) -> datetime:
    """A minute in New York, five hours behind."""
    return datetime(2011, 1, 3, 4, minute)  # noqa: DTZ001


def rows(shop: Shop) -> Sequence[tuple[object, ...]]:
    return sorted(values(shop.rows("exposures"), *COLUMNS), key=str)


def test_what_was_seen_has_what_followed_and_what_was_forgotten_leaves(shop: Shop) -> None:
    shop.land(line())
    show(shop, "seen", "u-1", ("10001", 0.8), ("20002", 0.02), ("30003", 0.8))
    show(shop, "unseen", "u-1", ("10001", 1))
    show(shop, "others", "u-2", ("10001", 1), ("20002", 1))
    show(shop, "late", "u-2", ("10001", 1), time="2011-01-09T09:00:00Z")
    shop.record(
        event("IMPRESSION", "seen", "u-1", "10001", 1),
        event("IMPRESSION", "seen", "u-1", "20002", 1),
        # Seen without an impression of its own; the first of several counts.
        event("CLICK", "seen", "u-1", "20002", 4),
        event("CLICK", "seen", "u-1", "20002", 2),
        event("PURCHASE", "seen", "u-1", "20002", 5, number="12345"),
        # Of somebody else, of a product that the list did not have, and after the last day.
        event("CLICK", "seen", "u-2", "10001", 3),
        event("CLICK", "seen", "u-1", "40004", 3),
        event("PURCHASE", "seen", "u-1", "10001", 5, day=9),
        # Nobody knows what was passed over.
        event("CLICK", "unseen", "u-1", "10001", 3),
        event("IMPRESSION", "others", "u-2", "10001", 3),
        event("IMPRESSION", "late", "u-2", "10001", 3, day=9),
    )
    manifest, _ = shop.run(time_zone="America/New_York")
    other = ("others", "u-2", "10001", 1, 1.0, None, None)
    assert rows(shop) == [
        other,
        ("seen", "12345", "10001", 1, 0.8, None, None),
        ("seen", "12345", "20002", 2, 0.02, at(2), at(5)),
    ]
    assert {row["time"] for row in shop.rows("exposures")} == {at(0)}
    assert manifest.dataset().contents["exposures"]
    assert shop.run(time_zone="America/New_York")[1] is False

    shop.run(time_zone="America/New_York", through=date(2011, 1, 31))
    assert [row[0] for row in rows(shop)] == ["late", "others", "seen", "seen"]
    assert ("seen", "12345", "10001", 1, 0.8, datetime(2011, 1, 9, 4, 5), datetime(2011, 1, 9, 4, 5)) in rows(shop)  # noqa: DTZ001

    # The jobs service removes the lines of a user who is forgotten.
    for name in ("seen", "unseen"):
        (shop.raw / "exposures" / f"{name}.json").write_text("")
    [events] = (shop.raw / "events").iterdir()
    events.write_text("\n".join(text for text in events.read_text().splitlines() if json.loads(text)["user_id"] != "u-1"))
    assert shop.run(time_zone="America/New_York")[1] is True
    assert rows(shop) == [other]


def test_data_without_exposures_is_described_as_before_there_were_any(shop: Shop) -> None:
    shop.land(line())
    manifest, _ = shop.run()
    assert manifest.exposures is None
    assert "exposures" not in manifest.dataset().contents
    assert "exposures" not in manifest.dataset().columns
