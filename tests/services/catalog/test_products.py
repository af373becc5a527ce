"""Single products: read, created, replaced, updated, deleted and undeleted."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc
import pytest

from hashiramart.catalog.v1 import catalog_pb2
from mesh.identity import Role
from tests.callers import Issuer
from tests.loops import Loop
from tests.services.catalog.replica import Replica
from tests.services.catalog.shop import Shop, row
from tests.services.errors import error_of, fails_with

CODE = grpc.StatusCode


def test_a_product_created_by_staff_can_be_read_by_anyone(staff: Shop, stranger: Shop) -> None:
    created = staff.create(
        "White hanging heart", id="85123A", description="Holds a light", category="Candles", price_cents=255, currency_code="GBP", stock=7
    )
    assert stranger.get("85123A") == created
    assert (created.name, created.description, created.category) == ("White hanging heart", "Holds a light", "Candles")
    assert (created.price_cents, created.currency_code, created.stock) == (255, "GBP", 7)
    assert created.create_time == created.update_time and created.create_time.seconds
    assert created.etag and not created.HasField("delete_time")


def test_a_product_without_a_currency_has_the_shops(staff: Shop) -> None:
    created = staff.create(currency_code="")
    assert created.currency_code == "GBP"
    assert staff.replace(created.id, currency_code="GBP").currency_code == "GBP"
    assert staff.update(created.id, ["currency_code"]).currency_code == "GBP"


def test_another_currency_than_the_shops_is_refused(staff: Shop) -> None:
    id = staff.create().id
    calls: list[Callable[[], object]] = [
        lambda: staff.create(currency_code="EUR"),
        lambda: staff.replace(id, currency_code="EUR"),
        lambda: staff.update(id, ["currency_code"], currency_code="EUR"),
    ]
    for call in calls:
        error = error_of(call)
        assert (error.code, error.reason, error.fields) == (CODE.INVALID_ARGUMENT, "UNSUPPORTED_CURRENCY", ["product.currency_code"])
        assert error.metadata == {"field": "product.currency_code", "currency_code": "EUR", "shop_currency": "GBP"}
    report = staff.import_products([row("a-dear", currency_code="EUR")])
    assert [(failure.field, failure.reason) for failure in report.failures] == [("currency_code", "UNSUPPORTED_CURRENCY")]


def test_a_generated_id_is_short_and_sorts_by_time(staff: Shop) -> None:
    first = staff.create().id
    second = staff.create().id
    assert first < second
    assert re.fullmatch("[a-z0-9]{16}", first)


def test_only_staff_may_write(customer: Shop, stranger: Shop) -> None:
    writes: tuple[Callable[[Shop], object], ...] = (
        lambda shop: shop.create(),
        lambda shop: shop.replace("x"),
        lambda shop: shop.update("x", stock=1),
        lambda shop: shop.delete("x"),
        lambda shop: shop.undelete("x"),
        lambda shop: shop.import_products([]),
        lambda shop: next(shop.watch()),
    )
    for write in writes:
        with fails_with(CODE.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            write(customer)
        with fails_with(CODE.UNAUTHENTICATED, "TOKEN_MISSING"):
            write(stranger)


def test_an_unknown_product_is_not_found(staff: Shop) -> None:
    for read in (staff.get, staff.replace, lambda id: staff.update(id, stock=1), staff.delete, staff.undelete):
        with fails_with(CODE.NOT_FOUND, "PRODUCT_NOT_FOUND"):
            read("no-such-product")


def test_an_id_is_taken_even_by_a_deleted_product(staff: Shop) -> None:
    id = staff.create(id="taken").id
    with fails_with(CODE.ALREADY_EXISTS, "PRODUCT_EXISTS"):
        staff.create(id=id)
    staff.delete(id)
    with fails_with(CODE.ALREADY_EXISTS, "PRODUCT_EXISTS"):
        staff.create(id=id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "with space"),
        ("id", "x" * 65),
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\0b"),
        ("description", "a\0b"),
        ("description", "x" * 4001),
        ("category", "a\0b"),
        ("price_cents", -1),
        ("currency_code", "gbp"),
        ("stock", -1),
    ],
)
def test_a_product_that_violates_a_rule_is_rejected_by_field(staff: Shop, field: str, value: Any) -> None:
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.create(**{"name": "Mug", field: value})
    assert list(violations) == [f"product.{field}"]


def test_replacing_sets_every_field(staff: Shop) -> None:
    old = staff.create(description="old", category="Old", price_cents=1, stock=1)
    new = staff.replace(old.id, "New", price_cents=2)
    assert (new.name, new.description, new.category, new.price_cents, new.stock) == ("New", "", "", 2, 0)
    assert new.create_time == old.create_time
    assert new.update_time.ToNanoseconds() > old.update_time.ToNanoseconds()
    assert new == staff.get(old.id)


def test_updating_sets_only_the_fields_of_the_mask(staff: Shop) -> None:
    id = staff.create("Mug", description="old", price_cents=1, stock=1).id
    assert staff.update(id, ["price_cents", "description"], name="Cup", price_cents=2).name == "Mug"
    updated = staff.get(id)
    assert (updated.price_cents, updated.description, updated.stock) == (2, "", 1)


def test_without_a_mask_the_fields_that_are_set_change_and_with_a_star_all(staff: Shop) -> None:
    id = staff.create("Mug", description="old", stock=1).id
    updated = staff.update(id, stock=5)
    assert (updated.name, updated.description, updated.stock) == ("Mug", "old", 5)
    updated = staff.update(id, ["*"], name="Cup")
    assert (updated.name, updated.description, updated.stock) == ("Cup", "", 0)


@pytest.mark.parametrize("path", ["colour", "create_time.seconds", "name.first", "NAME", ""])
def test_a_mask_that_names_no_field_is_rejected_and_nothing_changes(staff: Shop, path: str) -> None:
    before = staff.create()
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.update(before.id, ["stock", path], stock=9)
    assert f"'{path}'" in violations["update_mask"]
    assert staff.get(before.id) == before


def test_a_product_can_be_sent_back_as_it_was_read_with_some_fields_changed(staff: Shop) -> None:
    read = staff.create("Mug", description="old", category="Mugs", price_cents=1, stock=1)
    every_field = [field.name for field in read.DESCRIPTOR.fields]
    assert staff.send_back(read, every_field) == read
    read.stock = 2
    updated = staff.send_back(read, every_field)
    assert (updated.stock, updated.description, updated.create_time) == (2, "old", read.create_time)
    with fails_with(CODE.ABORTED, "STALE_ETAG"):
        staff.send_back(read, every_field)


@pytest.mark.parametrize("path", ["create_time", "update_time", "delete_time"])
def test_a_field_that_cannot_be_changed_must_have_its_value(staff: Shop, path: str) -> None:
    before = staff.create()
    sent = catalog_pb2.Product(id=before.id, stock=9)
    getattr(sent, path).seconds = 1
    error = error_of(lambda: staff.send_back(sent, ["stock", path]))
    assert (error.code, error.reason, error.fields) == (CODE.INVALID_ARGUMENT, "INVALID_REQUEST", [f"product.{path}"])
    assert staff.get(before.id) == before


def test_a_name_cannot_be_emptied(staff: Shop) -> None:
    id = staff.create().id
    for mask in ["name"], ["*"]:
        with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
            staff.update(id, mask, stock=1)
        assert list(violations) == ["product.name"]


def test_an_update_without_effect_keeps_the_etag(staff: Shop) -> None:
    before = staff.create("Mug", stock=3)
    assert staff.update(before.id, ["stock"], stock=3) == before
    assert staff.replace(before.id, "Mug", stock=3) == before


def test_every_change_gives_a_new_etag(staff: Shop) -> None:
    id = staff.create().id
    changed = [staff.get(id), staff.update(id, stock=1), staff.replace(id, stock=2), staff.delete(id), staff.undelete(id)]
    assert len({product.etag for product in changed}) == len(changed)


def test_a_stale_etag_is_rejected_by_every_change(staff: Shop) -> None:
    stale = staff.create()
    fresh = staff.update(stale.id, stock=1)
    changes: tuple[Callable[[], object], ...] = (
        lambda: staff.update(stale.id, ["stock"], stock=2, etag=stale.etag),
        lambda: staff.replace(stale.id, etag=stale.etag),
        lambda: staff.delete(stale.id, stale.etag),
        lambda: staff.delete(stale.id, "none of ours\0"),
    )
    for change in changes:
        with fails_with(CODE.ABORTED, "STALE_ETAG"):
            change()
    assert staff.get(stale.id) == fresh
    deleted = staff.delete(stale.id, fresh.etag)
    with fails_with(CODE.ABORTED, "STALE_ETAG"):
        staff.undelete(stale.id, fresh.etag)
    assert not staff.undelete(stale.id, deleted.etag).HasField("delete_time")


def test_of_concurrent_updates_with_one_etag_exactly_one_succeeds(staff: Shop) -> None:
    product = staff.create()

    def write(stock: int) -> catalog_pb2.Product | grpc.StatusCode:
        try:
            return staff.update(product.id, ["stock", "etag"], stock=stock, etag=product.etag)
        except grpc.RpcError as error:
            return error.code()

    with ThreadPoolExecutor(10) as writers:
        outcomes = list(writers.map(write, range(1, 11)))
    [won] = [outcome for outcome in outcomes if isinstance(outcome, catalog_pb2.Product)]
    assert outcomes.count(CODE.ABORTED) == 9
    assert staff.get(product.id) == won


def test_without_an_etag_every_update_succeeds_and_the_last_remains(staff: Shop) -> None:
    id = staff.create().id
    with ThreadPoolExecutor(10) as writers:
        written = list(writers.map(lambda stock: staff.update(id, ["stock"], stock=stock), range(1, 101)))
    last = max(written, key=lambda product: product.update_time.ToNanoseconds())
    assert {product.stock for product in written} == set(range(1, 101))
    assert len({product.etag for product in written}) == 100
    assert staff.get(id) == last


def test_a_deleted_product_is_hidden_until_it_is_undeleted_unchanged(staff: Shop, stranger: Shop) -> None:
    before = staff.create("Mug", stock=3)
    deleted = staff.delete(before.id)
    assert deleted.HasField("delete_time") and deleted.delete_time == deleted.update_time
    for use in (stranger.get, staff.replace, lambda id: staff.update(id, stock=1), staff.delete):
        with fails_with(CODE.NOT_FOUND, "PRODUCT_NOT_FOUND"):
            use(before.id)
    assert list(stranger.batch(before.id).missing_ids) == [before.id]
    back = staff.undelete(before.id)
    assert (back.name, back.stock, back.create_time) == ("Mug", 3, before.create_time)
    assert stranger.get(before.id) == back
    with fails_with(CODE.FAILED_PRECONDITION, "PRODUCT_NOT_DELETED"):
        staff.undelete(before.id)


def test_a_batch_returns_each_product_once_in_the_order_of_the_request_and_the_missing_ids(staff: Shop, stranger: Shop) -> None:
    one, two, gone = (staff.create().id for _ in range(3))
    staff.delete(gone)
    batch = stranger.batch("unknown", two, gone, one, two, "unknown")
    assert [product.id for product in batch.products] == [two, one]
    assert list(batch.missing_ids) == ["unknown", gone]


def test_ten_concurrent_creates_with_one_request_id_make_one_product_and_ten_equal_responses(staff: Shop) -> None:
    with ThreadPoolExecutor(10) as callers:
        answers = list(callers.map(lambda _: staff.create("Only once", request_id="once"), range(10)))
    assert all(answer == answers[0] for answer in answers)
    assert staff.ids(search="only once") == [answers[0].id]


def test_a_repeated_request_gets_the_first_response_whatever_happened_to_the_product(staff: Shop) -> None:
    first = staff.create("Mug", id="again", request_id="again")
    staff.update("again", stock=5)
    assert staff.create("Mug", id="again", request_id="again") == first
    staff.delete("again")
    assert staff.create("Mug", id="again", request_id="again") == first


def test_every_write_can_be_repeated(staff: Shop) -> None:
    etag = staff.create("Mug", id="repeats").etag
    writes: list[Callable[[], catalog_pb2.Product]] = [
        lambda: staff.update("repeats", stock=5, etag=etag, request_id="update"),
        lambda: staff.update("repeats", stock=5, request_id="nothing"),
        lambda: staff.replace("repeats", "Cup", request_id="replace"),
        lambda: staff.delete("repeats", request_id="delete"),
        lambda: staff.undelete("repeats", request_id="undelete"),
    ]
    answers = [write() for write in writes]
    assert [write() for write in writes] == answers
    assert staff.get("repeats") == answers[-1]
    for other in (lambda: staff.delete("repeats", request_id="update"), lambda: staff.delete("other", request_id="delete")):
        assert error_of(other).reason == "REQUEST_ID_REUSED"


def test_another_product_with_a_used_request_id_is_rejected(staff: Shop) -> None:
    staff.create("Mug", request_id="used")
    with fails_with(CODE.INVALID_ARGUMENT, "REQUEST_ID_REUSED") as violations:
        staff.create("Cup", request_id="used")
    assert list(violations) == ["request_id"]


def test_a_request_id_belongs_to_its_caller(staff: Shop, issuer: Issuer) -> None:
    other = Shop(staff.stub, issuer.metadata(Role.STAFF, "carl"))
    assert staff.create("Mug", request_id="mine").id != other.create("Mug", request_id="mine").id


def test_a_request_is_remembered_until_it_expires(staff: Shop, loop: Loop, replica: Replica) -> None:
    staff.create("Mug", request_id="yesterday")
    loop.run(replica.products.delete_expired_requests(timedelta(days=1)))
    with fails_with(CODE.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        staff.create("Cup", request_id="yesterday")
    loop.run(replica.products.delete_expired_requests(timedelta(0)))
    assert staff.create("Cup", request_id="yesterday").name == "Cup"


def test_a_failed_request_is_not_remembered(staff: Shop) -> None:
    staff.create(id="in-the-way")
    with fails_with(CODE.ALREADY_EXISTS, "PRODUCT_EXISTS"):
        staff.create("Mug", id="in-the-way", request_id="failed")
    assert staff.create("Cup", id="elsewhere", request_id="failed").name == "Cup"
