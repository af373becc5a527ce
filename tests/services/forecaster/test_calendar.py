"""The calendar, and the forecasts that know it."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import grpc
import pytest

from hashiramart.forecaster.v1 import calendar_pb2, forecaster_pb2
from mesh.timestamps import to_datetime
from tests.ml.forecaster.shop import COUNTRIES, DAYS, OPENING, PRODUCTS
from tests.services.errors import error_of, fails_with
from tests.services.forecaster.calendar_keeper import CalendarKeeper, Report
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica

THROUGH = OPENING + timedelta(days=DAYS - 1)
# The last day of the sales is a Saturday, and Sundays are closed anyway.
TUESDAY, WEDNESDAY = THROUGH + timedelta(days=3), THROUGH + timedelta(days=4)


@pytest.fixture(autouse=True, scope="module")
def promoted(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> None:
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)


@pytest.fixture(autouse=True)
def emptied(calendar: CalendarKeeper) -> Iterator[None]:
    yield
    calendar.clear()


def text(day: date) -> str:
    return day.isoformat()


def faults(report: Report) -> list[tuple[int, str, str]]:
    return [(failure.row, failure.field, failure.reason) for failure in report.failures]


def test_a_closed_day_is_forecast_as_zero_at_once_and_opens_again(staff: Planner, calendar: CalendarKeeper) -> None:
    before = staff.means(horizon_days=7)
    entry = calendar.create("closure", text(TUESDAY), name="stocktaking")
    response = staff.forecast(horizon_days=7)
    closed = response.points[2]
    assert list(response.closed_dates) == [closed.date] == [text(TUESDAY)]
    assert (closed.mean, closed.median) == (0, 0)
    assert {(band.lower, band.upper) for band in closed.bands} == {(0, 0)}
    assert [point.mean for point in response.points if point is not closed] == [*before[:2], *before[3:]]
    assert before[2] > 0
    calendar.delete(entry.id)
    assert staff.means(horizon_days=7) == before


def test_sums_add_up_on_every_level_while_the_shop_is_closed(staff: Planner, calendar: CalendarKeeper) -> None:
    calendar.create("closure", text(TUESDAY), text(WEDNESDAY))
    for granularity in (forecaster_pb2.GRANULARITY_DAY, forecaster_pb2.GRANULARITY_WEEK, forecaster_pb2.GRANULARITY_MONTH):
        for metric in (forecaster_pb2.METRIC_UNITS, forecaster_pb2.METRIC_REVENUE):
            common = {"horizon_days": 28, "granularity": granularity, "metric": metric}
            shop = staff.means(**common)
            for level, names in (("product_id", PRODUCTS), ("category", {"Drinks", "Dishes"}), ("country", COUNTRIES)):
                parts = [staff.means(**common, **{level: name}) for name in names]
                assert [sum(column) for column in zip(*parts, strict=True)] == pytest.approx(shop), level


def test_an_explanation_says_that_the_shop_is_closed(staff: Planner, calendar: CalendarKeeper) -> None:
    calendar.create("closure", text(TUESDAY))
    day = staff.explain(horizon_days=7).explanations[2]
    assert day.mean == 0
    assert [cause.feature for cause in day.contributions] == ["shut"]
    assert day.baseline + day.contributions[0].amount == pytest.approx(0)


def test_an_entry_is_kept_as_it_was_sent_with_the_time_at_which_it_was_made(calendar: CalendarKeeper) -> None:
    made = calendar.create("promotion", "2011-04-01", "2011-04-14", id="spring", category="Drinks", discount_percent=12.5, name="Spring")
    assert calendar.get("spring") == made
    assert (made.first_date, made.last_date, made.category, made.discount_percent) == ("2011-04-01", "2011-04-14", "Drinks", 12.5)
    assert made.time_zone == "Europe/London"
    assert made.create_time == made.update_time
    changed = calendar.update("spring", ("discount_percent",), discount_percent=20)
    assert changed.create_time == made.create_time
    assert to_datetime(changed.update_time) > to_datetime(made.update_time)
    assert (changed.discount_percent, changed.name) == (20, "Spring")


def test_a_change_of_what_somebody_else_has_changed_fails(calendar: CalendarKeeper) -> None:
    made = calendar.create("holiday", "2011-04-01", id="day")
    calendar.update("day", ("name",), name="April", etag=made.etag)
    with fails_with(grpc.StatusCode.ABORTED, "STALE_ETAG"):
        calendar.update("day", ("name",), name="Fool", etag=made.etag)
    with fails_with(grpc.StatusCode.ABORTED, "STALE_ETAG"):
        calendar.delete("day", made.etag)
    assert calendar.get("day").name == "April"


def test_a_repeated_request_is_carried_out_once(calendar: CalendarKeeper) -> None:
    first, second = (calendar.create("holiday", "2011-04-01", request_id="once") for _ in range(2))
    assert first == second
    assert len(calendar.page().entries) == 1


def test_the_list_is_paged_by_first_day_and_filtered(calendar: CalendarKeeper) -> None:
    for day in ("2011-05-03", "2011-05-01", "2011-05-02"):
        calendar.create("holiday", day, id=f"h-{day}")
    calendar.create("promotion", "2011-04-20", "2011-05-01", id="sale", discount_percent=5)
    first = calendar.page(page_size=3)
    rest = calendar.page(page_size=3, page_token=first.next_page_token)
    assert [entry.id for entry in (*first.entries, *rest.entries)] == ["sale", "h-2011-05-01", "h-2011-05-02", "h-2011-05-03"]
    assert rest.next_page_token == ""
    assert [entry.id for entry in calendar.page("promotion").entries] == ["sale"]
    assert [entry.id for entry in calendar.page(from_date="2011-05-02").entries] == ["h-2011-05-02", "h-2011-05-03"]


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("closure", {"first_date": "2011-02-30"}, "entry.first_date"),
        ("closure", {"first_date": ""}, "entry.first_date"),
        ("closure", {"first_date": "2011-05-02", "last_date": "2011-05-01"}, "entry.last_date"),
        ("closure", {"first_date": "2011-05-02", "last_date": "2013-05-01"}, "entry.last_date"),
        ("closure", {"first_date": "2011-05-02", "product_id": "tea"}, "entry.product_id"),
        ("holiday", {"first_date": "2011-05-02", "discount_percent": 3}, "entry.discount_percent"),
        ("promotion", {"first_date": "2011-05-02"}, "entry.discount_percent"),
        ("promotion", {"first_date": "2011-05-02", "discount_percent": 95}, "entry.discount_percent"),
        ("promotion", {"first_date": "2011-05-02", "discount_percent": 5, "product_id": "tea", "category": "Drinks"}, "entry.category"),
        ("unspecified", {"first_date": "2011-05-02"}, "entry.kind"),
    ],
    ids=str,
)
def test_a_field_at_fault_is_named(calendar: CalendarKeeper, kind: str, fields: dict[str, object], field: str) -> None:
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        calendar.create(kind, **fields)  # type: ignore[arg-type]
    assert set(violations) == {field}


def test_promotions_of_one_scope_do_not_overlap(calendar: CalendarKeeper) -> None:
    calendar.create("promotion", "2011-05-01", "2011-05-14", id="may", category="Drinks", discount_percent=10)
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION, "PROMOTION_OVERLAPS") as violations:
        calendar.create("promotion", "2011-05-14", "2011-05-20", category="Drinks", discount_percent=20)
    assert violations == {"entry.first_date": "overlaps promotion 'may'"}
    calendar.create("promotion", "2011-05-15", "2011-05-20", id="later", category="Drinks", discount_percent=20)
    calendar.create("promotion", "2011-05-14", product_id="tea", discount_percent=20)
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION, "PROMOTION_OVERLAPS"):
        calendar.update("later", ("first_date",), first_date="2011-05-10")
    assert calendar.update("may", ("last_date",), last_date="2011-05-13").last_date == "2011-05-13"


def test_a_closure_of_days_with_sales_is_an_error(calendar: CalendarKeeper) -> None:
    error = error_of(lambda: calendar.create("closure", text(THROUGH)))
    assert (error.code, error.reason, error.fields) == (grpc.StatusCode.FAILED_PRECONDITION, "CLOSURE_IN_PAST", ["entry.last_date"])
    assert error.metadata["data_through_date"] == text(THROUGH)
    calendar.create("closure", text(THROUGH), text(TUESDAY))


CSV = f"""kind,first_date,last_date,name,category,product_id,discount_percent,id
closure,{TUESDAY},,"Stocktaking, again",,,,stock
promotion,2011-04-01,2011-04-10,Spring,Drinks,,20,
promotion,2011-04-10,2011-04-12,Spring,Drinks,,30,
closure,2011-04-31,,,,,,
party,2011-04-01,,,,,,
promotion,2011-04-01,,,,tea,a lot,
promotion,2011-04-01,,,,not an id,5,
closure,{THROUGH},,,,,,
closure,2011-04-01
"""
CSV_FAULTS = [
    (3, "first_date", "PROMOTION_OVERLAPS"),
    (4, "first_date", "INVALID_REQUEST"),
    (5, "kind", "INVALID_REQUEST"),
    (6, "discount_percent", "INVALID_REQUEST"),
    (7, "product_id", "INVALID_REQUEST"),
    (8, "last_date", "CLOSURE_IN_PAST"),
    (9, "", "MALFORMED_REQUEST"),
]


def test_a_file_is_imported_and_its_rows_at_fault_are_reported_by_row_and_field(staff: Planner, calendar: CalendarKeeper) -> None:
    checked = calendar.import_csv(CSV, validate_only=True)
    assert not calendar.page().entries
    report = calendar.import_csv(CSV)
    assert report == checked
    assert faults(report) == CSV_FAULTS
    assert (report.row_count, report.created_count, report.updated_count, report.unchanged_count, report.failed_count) == (9, 2, 0, 0, 7)
    assert calendar.get("stock").name == "Stocktaking, again"
    assert staff.means(horizon_days=7)[2] == 0


def test_the_same_file_changes_nothing_and_another_one_replaces(calendar: CalendarKeeper) -> None:
    calendar.import_csv(CSV)
    again = calendar.import_csv(CSV)
    assert (again.created_count, again.updated_count, again.unchanged_count) == (0, 0, 2)
    changed = calendar.import_csv(CSV.replace("Stocktaking, again", "Stocktaking"))
    assert (changed.created_count, changed.updated_count, changed.unchanged_count) == (0, 1, 1)


def test_lines_of_json_are_rows_as_well(calendar: CalendarKeeper) -> None:
    lines = [
        '{"id": "new-year", "kind": "CALENDAR_ENTRY_KIND_HOLIDAY", "first_date": "2012-01-01"}',
        "",
        '{"kind": "promotion", "first_date": "2012-01-02", "discount_percent": 7.5, "product_id": "tea"}',
        '{"kind": "promotion", ',
        "[1]",
        '{"kind": "closure", "first_date": 20120103}',
        '{"kind": "closure", "first_date": "2012-01-03", "colour": "red"}',
    ]
    report = calendar.import_ndjson("\n".join(lines))
    assert (report.row_count, report.created_count) == (6, 2)
    malformed = [(3, "", "MALFORMED_REQUEST"), (4, "", "MALFORMED_REQUEST")]
    assert faults(report) == [*malformed, (5, "first_date", "INVALID_REQUEST"), (6, "colour", "INVALID_REQUEST")]


@pytest.mark.parametrize("content", ["kind,first_date,kind\n", "kind,day\n", "kind\n", 'kind,first_date\n"closure'], ids=repr)
def test_a_file_that_is_no_calendar_is_an_error(calendar: CalendarKeeper, content: str) -> None:
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "CALENDAR_FILE_INVALID") as violations:
        calendar.import_csv(content)
    assert set(violations) == {"content"}


def test_the_holidays_of_a_country_are_imported(calendar: CalendarKeeper) -> None:
    report = calendar.import_holidays("GB", 2011, subdivision_code="ENG")
    entries = calendar.page(page_size=100).entries
    assert report.created_count == len(entries) > 5
    assert {entry.kind for entry in entries} == {calendar_pb2.CALENDAR_ENTRY_KIND_HOLIDAY}
    assert calendar.get("holiday-gb-eng-20111225").name == "Christmas Day"


def test_a_shop_that_closes_on_holidays_is_closed_on_the_coming_ones(staff: Planner, calendar: CalendarKeeper) -> None:
    calendar.import_holidays("GB", 2010, last_year=2011, subdivision_code="ENG", closed=True)
    entries = calendar.page(page_size=100).entries
    assert entries
    assert all(date.fromisoformat(entry.first_date) > THROUGH for entry in entries)
    assert "2011-04-25" in staff.forecast(horizon_days=182).closed_dates


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"country_code": "XX"}, "COUNTRY_UNKNOWN", "country_code"),
        ({"country_code": "GB", "subdivision_code": "QQ"}, "COUNTRY_UNKNOWN", "subdivision_code"),
        ({"country_code": "GB", "last_year": 2010}, "INVALID_REQUEST", "last_year"),
        ({"country_code": "GB", "last_year": 2031}, "INVALID_REQUEST", "last_year"),
    ],
    ids=str,
)
def test_holidays_that_cannot_be_found_are_an_error(calendar: CalendarKeeper, fields: dict[str, object], reason: str, field: str) -> None:
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, reason) as violations:
        calendar.import_holidays(first_year=2011, **fields)  # type: ignore[arg-type]
    assert set(violations) == {field}
