"""Lists of products: filters, order and pages."""

import itertools
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import grpc
import pytest

from hashiramart.catalog.v1 import catalog_pb2
from tests.services.catalog.shop import Shop, row
from tests.services.errors import fails_with

CODE = grpc.StatusCode
IN_STOCK, SOLD_OUT = catalog_pb2.AVAILABILITY_IN_STOCK, catalog_pb2.AVAILABILITY_SOLD_OUT

FIELDS = ("create_time", "update_time", "name", "price_cents", "stock", "id")


@pytest.fixture(scope="module", autouse=True)
def _products(staff: Shop) -> None:
    """Thirty products with many ties, the later half in another category."""
    for number in range(30):
        category = "Mugs" if number < 15 else "Lamps"
        staff.create(f"Name {number % 4}", id=f"p{number:02}", category=category, price_cents=number % 3, stock=number % 5)


def everything(stranger: Shop, **arguments: Any) -> list[catalog_pb2.Product]:
    return list(stranger.page(page_size=100, **arguments).products)


def key(order_by: str) -> list[tuple[str, bool]]:
    """The fields and whether they are descending, with the id that breaks ties."""
    keys = [(part.split()[0], part.endswith(" desc")) for part in order_by.split(",")]
    return keys if "id" in dict(keys) else [*keys, ("id", keys[-1][1])]


def ordered(products: list[catalog_pb2.Product], order_by: str) -> list[catalog_pb2.Product]:
    for field, descending in reversed(key(order_by)):
        value = attrgetter(field)
        products = sorted(products, key=lambda p: v.ToNanoseconds() if hasattr(v := value(p), "ToNanoseconds") else v, reverse=descending)
    return products


@pytest.mark.parametrize(
    "order_by",
    [
        *FIELDS,
        *(f"{field} desc" for field in FIELDS),
        *(",".join(pair) for pair in itertools.product(("price_cents", "price_cents desc"), ("name", "name desc"))),
        "stock desc, price_cents ,name desc",
        " price_cents  desc,id",
        "name, id desc",
        "price_cents, create_time desc, id",
    ],
)
def test_every_order_with_its_ties_is_paged_without_a_gap(stranger: Shop, order_by: str) -> None:
    expected = [product.id for product in ordered(everything(stranger), order_by)]
    assert stranger.ids(order_by=order_by, page_size=7) == expected
    assert stranger.ids(order_by=order_by, page_size=1) == expected


def test_the_newest_products_come_first(stranger: Shop) -> None:
    assert stranger.ids() == [f"p{number:02}" for number in reversed(range(30))]


def test_filters_can_be_combined(stranger: Shop) -> None:
    def expected(holds: Callable[[catalog_pb2.Product], bool]) -> list[str]:
        return [product.id for product in everything(stranger) if holds(product)]

    assert stranger.ids(category="Mugs", page_size=4) == expected(lambda p: p.category == "Mugs")
    assert stranger.ids(category="mugs") == []
    assert stranger.ids(availability=IN_STOCK, page_size=4) == expected(lambda p: p.stock > 0)
    assert stranger.ids(availability=SOLD_OUT) == expected(lambda p: p.stock == 0)
    assert stranger.ids(availability=catalog_pb2.AVAILABILITY_ANY) == stranger.ids() == expected(lambda p: True)
    assert stranger.ids(min_price_cents=1) == expected(lambda p: p.price_cents >= 1)
    assert stranger.ids(max_price_cents=0) == expected(lambda p: p.price_cents <= 0)
    both = {"category": "Lamps", "availability": IN_STOCK, "min_price_cents": 1, "max_price_cents": 1, "page_size": 2}
    assert stranger.ids(**both) == expected(lambda p: p.category == "Lamps" and p.stock > 0 and p.price_cents == 1) != []


def counted(page: catalog_pb2.ListCategoriesResponse) -> list[tuple[str, int]]:
    """The categories of a page, with their numbers of products."""
    return [(category.name, category.product_count) for category in page.categories]


def test_categories_are_listed_by_name_with_the_number_of_their_products(staff: Shop, stranger: Shop) -> None:
    assert counted(stranger.categories()) == [("Lamps", 15), ("Mugs", 15)]
    staff.create("Without", id="without")
    staff.create("Sold out", id="alone", category="Alone")
    assert counted(stranger.categories()) == [("Alone", 1), ("Lamps", 15), ("Mugs", 15)]
    assert counted(stranger.categories(availability=IN_STOCK)) == [("Lamps", 12), ("Mugs", 12)]
    assert counted(stranger.categories(availability=SOLD_OUT)) == [("Alone", 1), ("Lamps", 3), ("Mugs", 3)]
    for id in ("without", "alone"):
        staff.delete(id)
    assert counted(stranger.categories()) == [("Lamps", 15), ("Mugs", 15)]


def test_categories_are_paged(stranger: Shop) -> None:
    first = stranger.categories(page_size=1)
    second = stranger.categories(page_size=1, page_token=first.next_page_token)
    assert [counted(first), counted(second)] == [[("Lamps", 15)], [("Mugs", 15)]]
    assert second.next_page_token == ""
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        stranger.categories(page_size=1, page_token=first.next_page_token, availability=IN_STOCK)


def test_a_page_has_25_products_by_default_and_100_at_most(staff: Shop, stranger: Shop) -> None:
    staff.import_products(row(f"z{number}", category="Many") for number in range(120))
    assert [len(page) for page in stranger.pages(category="Many")] == [25, 25, 25, 25, 20]
    assert [len(page) for page in stranger.pages(category="Many", page_size=1000)] == [100, 20]
    assert [len(page) for page in stranger.pages(category="Many", page_size=60)] == [60, 60]
    for id in stranger.ids(category="Many"):
        staff.delete(id)


def test_pages_neither_skip_nor_repeat_while_others_write(staff: Shop, stranger: Shop) -> None:
    before = set(stranger.ids())
    done = threading.Event()

    def write() -> None:
        for number in itertools.count():
            new = staff.create(f"Name {number % 4}", price_cents=number % 3, category="Passing").id
            staff.update(new, description=f"{number}")
            if number % 2:
                staff.delete(new)
            if done.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for order_by in ("", "create_time", "name desc", "price_cents, name desc"):
            seen = stranger.ids(order_by=order_by, page_size=3)
            assert len(seen) == len(set(seen))
            assert before <= set(seen)
    finally:
        done.set()
        writer.join()
    for id in stranger.ids(category="Passing"):
        staff.delete(id)


@pytest.mark.parametrize(
    "order_by",
    [
        *("colour", "price", "Name", "description", "delete_time", "1"),
        *("name asc", "name desc desc", "name,", ",", "name, name desc"),
        *("name; DROP TABLE catalog.products", "id--", "(select 1)"),
    ],
)
def test_an_invalid_order_is_rejected(stranger: Shop, order_by: str) -> None:
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        stranger.page(order_by=order_by)
    assert list(violations) == ["order_by"]


def test_a_negative_size_or_price_is_rejected(stranger: Shop) -> None:
    for field in ("page_size", "min_price_cents", "max_price_cents"):
        with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
            stranger.page(**{field: -1})
        assert list(violations) == [field]


def test_a_page_token_belongs_to_one_list(stranger: Shop) -> None:
    token = stranger.page(page_size=5, category="Mugs").next_page_token
    assert len(stranger.page(page_size=9, category="Mugs", page_token=token).products) == 9
    raw = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[-3] ^= 1
    altered = urlsafe_b64encode(raw).decode().rstrip("=")
    for arguments in (
        {"category": "Mugs", "page_token": altered},
        {"category": "Mugs", "page_token": "no token"},
        {"category": "Lamps", "page_token": token},
        {"category": "Mugs", "order_by": "name", "page_token": token},
        {"category": "Mugs", "search": "name", "page_token": token},
    ):
        with fails_with(CODE.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN") as violations:
            stranger.page(**arguments)
        assert list(violations) == ["page_token"]


def test_deleted_products_are_listed_for_staff_who_ask(staff: Shop, customer: Shop, stranger: Shop) -> None:
    gone = staff.create("Gone", category="Gone").id
    staff.delete(gone)
    assert stranger.ids(category="Gone") == []
    assert staff.ids(category="Gone") == []
    [shown] = staff.page(category="Gone", show_deleted=True).products
    assert shown.id == gone and shown.HasField("delete_time")
    assert staff.ids(search="gone", show_deleted=True) == [gone]
    with fails_with(CODE.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        customer.page(show_deleted=True)
    with fails_with(CODE.UNAUTHENTICATED, "TOKEN_MISSING"):
        stranger.page(show_deleted=True)
