"""Which lines are sale lines, and the reject reason of every other."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lake.line_rules import ONLINE_RETAIL, LineRules
from lake.schemas import RAW_COLUMNS
from spark.cleaning import END, classify_lines, parse_fields
from tests.spark.shop import line


def classify(spark: SparkSession, *lines: str, header: tuple[str, ...] = RAW_COLUMNS, rules: LineRules = ONLINE_RETAIL) -> list[Row]:
    rows = [("file", 0, place, text) for place, text in enumerate(lines)]
    frame = spark.createDataFrame(rows, "path string, block bigint, index bigint, line string")
    dated = parse_fields(frame, header, rules).withColumn(END, F.lit(date(2026, 11, 25)))
    return classify_lines(dated, date(2000, 1, 1)).orderBy("index").collect()


def test_a_sale_line_is_trimmed_and_typed_and_not_stored_as_text(spark: SparkSession) -> None:
    [row] = classify(spark, line(product=" 85123a ", name="  WHITE HEART ", quantity=6, time="2010-12-01 08:26:00", price=2.55))
    assert (row.product_id, row.description, row.quantity) == ("85123A", "WHITE HEART", 6)
    assert (row.time, row.price) == (datetime(2010, 12, 1, 8, 26), Decimal("2.55"))  # noqa: DTZ001
    assert (row.reason, row.line) == (None, None)


def test_a_sale_without_a_customer_is_a_sale(spark: SparkSession) -> None:
    [row] = classify(spark, line(customer=""))
    assert (row.reason, row.customer_number) == (None, None)


def test_numbers_that_a_spreadsheet_has_made_fractions_are_whole(spark: SparkSession) -> None:
    rows = classify(spark, *(line(customer=text, quantity=text) for text in ("13085", "13085.0", "13085.00", "13085.")))
    assert {(row.reason, row.customer_number, row.quantity) for row in rows} == {(None, "13085", 13085)}
    [other] = classify(spark, line(customer="AB.0"))
    assert other.customer_number == "AB.0"


def test_a_line_may_begin_with_a_byte_order_mark_and_hold_no_break_spaces(spark: SparkSession) -> None:
    [row] = classify(spark, "\ufeff" + line(quantity="\u00a06 ", customer="12345\u00a0", time="\u00a02011-01-03 10:00:00"))
    assert (row.reason, row.invoice, row.quantity, row.customer_number) == (None, "500001", 6, "12345")


def test_the_limits_of_numbers_and_dates_are_sales(spark: SparkSession) -> None:
    lines = [line(quantity=1_000_000, price="21474836.47"), line(price="0.0001", time="2000-01-01"), line(time="2026-11-24 23:59:59")]
    assert [row.reason for row in classify(spark, *lines)] == [None, None, None]


@pytest.mark.parametrize(
    ("reason", "reject"),
    [
        ("invoice", line(invoice="C500001")),
        ("invoice", line(invoice="A500001")),
        ("invoice", line(invoice="")),
        ("quantity", line(quantity=-2)),
        ("quantity", line(quantity="many")),
        ("quantity", line(quantity=1.5)),
        ("price", line(price=0)),
        ("price", line(price="free")),
        ("stock_code", line(product="POST")),
        ("stock_code", line(product="gift_0001_20")),
        ("date", line(time="yesterday")),
        ("date", line(time="2011-02-30 10:00:00")),
        ("date", line(time="20111-01-03 10:00:00")),
        ("date", line(time="40546")),
        ("date", line(time="0000-02-05 10:00:00")),
        ("date", line(time="0211-01-03 10:00:00")),
        ("date", line(time="-2011-01-03 10:00:00")),
        ("date", line(time="294248-01-01 00:00:00")),
        ("date", line(time="1999-12-31 23:59:59")),
        ("date", line(time="2026-11-25 00:00:00")),
        ("quantity", line(quantity=1_000_001)),
        ("quantity", line(quantity="5012345678900")),
        ("quantity", line(quantity="6.01")),
        ("price", line(price="5012345678900")),
        ("price", line(price="50123457")),
        ("price", line(price="21474836.48")),
        ("price", line(price="1e999999999")),
        ("price", line(price="1e-999999999")),
        ("price", line(price="NaN")),
        ("columns", "," * 30_000),
        ("columns", line(name="x" * 30_000)),
        ("header", "\ufeff" + ",".join(RAW_COLUMNS)),
        ("header", ",".join(f"{column}\u00a0" for column in RAW_COLUMNS)),
        ("columns", "500001,10001,GLASS JAR"),
        ("columns", f"{line()},more"),
        ("columns", '500001,10001,"GLASS JAR,1,2011-01-03 10:00:00,2.5,12345,United Kingdom'),
        ("columns", ""),
        ("header", ",".join(RAW_COLUMNS)),
    ],
)
def test_a_line_is_rejected_with_its_reason_and_kept_as_it_came(spark: SparkSession, reason: str, reject: str) -> None:
    [row] = classify(spark, reject)
    assert (row.reason, row.line) == (reason, reject)


def test_the_reject_reason_is_the_first_rule_that_is_broken(spark: SparkSession) -> None:
    rows = classify(spark, line(invoice="C1", quantity=-1, price=0), line(quantity=-1, price=0, product="M"), line(price=0, product="M"))
    assert [row.reason for row in rows] == ["invoice", "quantity", "price"]


def test_a_quoted_field_may_hold_commas_and_quotes(spark: SparkSession) -> None:
    [row] = classify(spark, line(name='"JAR, ""LARGE"""'))
    assert row.description == 'JAR, "LARGE"'


def test_columns_may_come_in_any_order_beside_others(spark: SparkSession) -> None:
    header = ("Till", *reversed(RAW_COLUMNS))
    [row] = classify(spark, "7,United Kingdom,12345,2.5,2011-01-03 10:00:00,3,GLASS JAR,10001,500001", header=header)
    assert (row.reason, row.invoice, row.quantity, row.country) == (None, "500001", 3, "United Kingdom")
