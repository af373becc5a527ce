"""Which lines are sale lines, and the reject reason of every other."""

from datetime import datetime
from decimal import Decimal

import pytest
from pyspark.sql import Row, SparkSession

from lake.schemas import RAW_COLUMNS
from spark.cleaning import classify_lines, parse_fields
from tests.spark.shop import line


def classify(spark: SparkSession, *lines: str, header: tuple[str, ...] = RAW_COLUMNS) -> list[Row]:
    rows = [("file", 0, place, text) for place, text in enumerate(lines)]
    frame = spark.createDataFrame(rows, "path string, block bigint, index bigint, line string")
    return classify_lines(parse_fields(frame, header)).orderBy("index").collect()


def test_a_sale_line_is_trimmed_and_typed_and_not_stored_as_text(spark: SparkSession) -> None:
    [row] = classify(spark, line(product=" 85123a ", name="  WHITE HEART ", quantity=6, time="2010-12-01 08:26:00", price=2.55))
    assert (row.product_id, row.description, row.quantity) == ("85123A", "WHITE HEART", 6)
    assert (row.time, row.price) == (datetime(2010, 12, 1, 8, 26), Decimal("2.55"))  # noqa: DTZ001
    assert (row.reason, row.line) == (None, None)


def test_a_sale_without_a_customer_is_a_sale(spark: SparkSession) -> None:
    [row] = classify(spark, line(customer=""))
    assert (row.reason, row.customer_number) == (None, None)


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
