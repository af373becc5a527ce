"""Imports of products."""

import threading
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

from hashiramart.catalog.v1 import catalog_pb2
from tests.services.catalog.shop import Shop, row
from tests.services.errors import fails_with

CODE = grpc.StatusCode


def counts(report: catalog_pb2.ImportProductsResponse) -> tuple[int, int, int, int, int]:
    """The numbers of rows, and of those that were created, updated, unchanged and failed."""
    return report.row_count, report.created_count, report.updated_count, report.unchanged_count, report.failed_count


def test_a_file_creates_what_is_new_and_replaces_what_differs(staff: Shop) -> None:
    staff.create("Old", id="a-differs", description="old", stock=1)
    same = staff.create("Same", id="a-same", stock=2)
    rows = [row("a-new", "New"), row("a-differs", "Other", price_cents=5), row("a-same", "Same", stock=2, currency_code="GBP")]
    assert counts(staff.import_products(rows)) == (3, 1, 1, 1, 0)
    assert staff.get("a-new").currency_code == "GBP"
    assert (staff.get("a-differs").name, staff.get("a-differs").description, staff.get("a-differs").price_cents) == ("Other", "", 5)
    assert staff.get("a-same") == same


def test_an_empty_file_can_be_imported(staff: Shop) -> None:
    assert counts(staff.import_products([])) == (0, 0, 0, 0, 0)


def test_the_same_file_again_changes_nothing(staff: Shop) -> None:
    rows = [row(f"b{number}", stock=number) for number in range(1200)]
    assert counts(staff.import_products(rows)) == (1200, 1200, 0, 0, 0)
    before = staff.get("b7")
    watch = staff.watch()
    bookmark = next(watch)
    assert counts(staff.import_products(rows)) == (1200, 0, 0, 1200, 0)
    assert staff.get("b7") == before
    marker = staff.create("Marker")
    assert next(watch).product == marker, bookmark
    watch.cancel()


def test_a_deleted_product_is_undeleted(staff: Shop) -> None:
    created = staff.create("Mug", id="c1")
    staff.delete("c1")
    assert counts(staff.import_products([row("c1", "Mug")])) == (1, 0, 1, 0, 0)
    back = staff.get("c1")
    assert back.create_time == created.create_time and back.etag != created.etag


def test_invalid_rows_are_reported_and_the_others_imported(staff: Shop) -> None:
    unreadable = status_pb2.Status(code=3, message="stock: not a number")
    unreadable.details.add().Pack(error_details_pb2.ErrorInfo(reason="MALFORMED_REQUEST", domain="hashiramart"))
    bad_request = error_details_pb2.BadRequest()
    bad_request.field_violations.add(field="product.stock", description="not a number")
    unreadable.details.add().Pack(bad_request)
    report = staff.import_products(
        [
            row("d-good"),
            row("", "No id"),
            row("d bad", "Bad id"),
            row("d-price", price_cents=-1),
            row("d-name", ""),
            catalog_pb2.ImportProductsRequest(unreadable=unreadable),
            catalog_pb2.ImportProductsRequest(),
            row("d-nul", "a\0b"),
            row("d-good-too"),
            row("x" * 100_000, "Long id"),
            catalog_pb2.ImportProductsRequest(
                unreadable=status_pb2.Status(code=3, message="why", details=[Any(type_url="x/y", value=b"z")])
            ),
        ]
    )
    assert counts(report) == (11, 2, 0, 0, 9)
    received = [(failure.row, failure.product_id, failure.field, failure.reason) for failure in report.failures]
    assert received == [
        (2, "", "id", "INVALID_REQUEST"),
        (3, "d bad", "id", "INVALID_REQUEST"),
        (4, "d-price", "price_cents", "INVALID_REQUEST"),
        (5, "d-name", "name", "INVALID_REQUEST"),
        (6, "", "stock", "MALFORMED_REQUEST"),
        (7, "", "id", "INVALID_REQUEST"),
        (8, "d-nul", "name", "INVALID_REQUEST"),
        (10, "x" * 64, "id", "INVALID_REQUEST"),
        (11, "", "", "MALFORMED_REQUEST"),
    ]
    assert all(failure.message for failure in report.failures)
    assert report.failures[4].message == "not a number"
    assert {product.id for product in staff.batch("d-good", "d-good-too", "d-price", "d-name", "d-nul").products} == {
        "d-good",
        "d-good-too",
    }


def test_a_file_can_be_validated_without_writing(staff: Shop) -> None:
    staff.create("Old", id="v-differs")
    same, gone = staff.create("Same", id="v-same"), staff.create("Gone", id="v-gone")
    staff.delete("v-gone")

    def file() -> Iterator[catalog_pb2.ImportProductsRequest]:
        yield row("v-new", "New")
        yield from (row("v-differs", "Other"), row("v-same", "Same"), row("v-gone", "Gone"), row("v-bad", price_cents=-1))
        yield from (row(f"v-{number}") for number in range(1500))
        yield row("v-new", "Newer")

    planned = staff.import_products(validated(file()))
    assert counts(planned) == (1506, 1501, 2, 2, 1)
    assert [failure.row for failure in planned.failures] == [5]
    assert list(staff.batch("v-new", "v-gone", "v-7").missing_ids) == ["v-new", "v-gone", "v-7"]
    assert (staff.get("v-differs").name, staff.get("v-same")) == ("Old", same)
    assert staff.import_products(file()) == planned
    assert staff.get("v-gone").create_time == gone.create_time


def validated(rows: Iterator[catalog_pb2.ImportProductsRequest]) -> Iterator[catalog_pb2.ImportProductsRequest]:
    """The same file, to be validated only."""
    for each in rows:
        each.validate_only = True
        yield each


@pytest.mark.parametrize("between", [0, 1500])
def test_of_two_rows_with_one_id_the_later_wins_and_one_product_is_counted(staff: Shop, between: int) -> None:
    def file(prefix: str, stock: int) -> Iterator[catalog_pb2.ImportProductsRequest]:
        yield row(f"{prefix}-twice", "First", stock=stock)
        for number in range(between):
            yield row(f"{prefix}-{number}")
        yield row(f"{prefix}-twice", "Second", stock=stock)

    prefix = f"e{between}"
    assert counts(staff.import_products(file(prefix, 1))) == (between + 2, between + 1, 0, 1, 0)
    assert staff.get(f"{prefix}-twice").name == "Second"
    assert counts(staff.import_products(file(prefix, 2))) == (between + 2, 0, 1, between + 1, 0)


def test_more_than_100_000_rows_are_rejected_after_those_up_to_the_limit_are_imported(staff: Shop) -> None:
    rows = (row(f"f{number % 20}") for number in range(100_001))
    with fails_with(CODE.OUT_OF_RANGE, "IMPORT_TOO_LONG"):
        staff.import_products(rows)
    assert not staff.batch(*(f"f{number}" for number in range(20))).missing_ids


def test_each_of_20_000_invalid_rows_is_reported(staff: Shop) -> None:
    report = staff.import_products(row(f"not an id {number}") for number in range(20_000))
    assert [failure.row for failure in report.failures] == list(range(1, 20_001))


def test_a_report_too_large_for_a_response_counts_the_rows_that_it_does_not_list(staff: Shop) -> None:
    report = staff.import_products(row("🕯" * 100) for _ in range(60_000))
    assert report.failed_count == 60_000
    listed = [failure.row for failure in report.failures]
    assert listed == list(range(1, len(listed) + 1))
    assert 5_000 < len(listed) < 20_000


def test_an_interrupted_import_leaves_whole_batches_and_can_be_repeated(staff: Shop) -> None:
    stop = threading.Event()

    def broken() -> Iterator[catalog_pb2.ImportProductsRequest]:
        for number in range(2500):
            yield row(f"g{number}")
        stop.wait(10)

    call = staff.stub.ImportProducts.future(broken(), metadata=staff.metadata, timeout=60)
    for _ in range(600):
        if not staff.batch("g1999").missing_ids:
            break
        stop.wait(0.05)
    call.cancel()
    stop.set()
    assert not staff.batch("g0", "g1999").missing_ids
    assert staff.batch("g2000", "g2499").missing_ids == ["g2000", "g2499"]
    assert counts(staff.import_products(row(f"g{number}") for number in range(2500))) == (2500, 500, 0, 2000, 0)


def test_concurrent_imports_of_the_same_products_in_other_orders_do_not_deadlock(staff: Shop) -> None:
    reports: list[catalog_pb2.ImportProductsResponse] = []

    def import_products(numbers: range) -> None:
        reports.append(staff.import_products(row(f"h{number}", stock=number) for number in numbers))

    files = [threading.Thread(target=import_products, args=[numbers]) for numbers in (range(3000), range(2999, -1, -1))]
    for file in files:
        file.start()
    for file in files:
        file.join()
    assert sum(report.created_count for report in reports) == 3000
    assert sum(report.updated_count + report.failed_count for report in reports) == 0


def test_other_calls_are_served_during_an_import(staff: Shop, stranger: Shop) -> None:
    staff.create(id="i-other")
    importing = staff.stub.ImportProducts.future(
        iter([row(f"i{number}", description="word " * 100) for number in range(5000)]), metadata=staff.metadata, timeout=60
    )
    answered = 0
    while not importing.done():
        assert stranger.get("i-other").id == "i-other"
        answered += 1
    assert importing.result().created_count == 5000
    assert answered > 10
