"""The rows of interactions, daily sales and products."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, SparkSession

from lake.schemas import SALES, ddl
from spark.daily_sales import daily_sales
from spark.interactions import interactions, purchases_in_sales
from spark.partitioning import partition_by_month
from spark.products import category, products, read_taxonomy


def sales(spark: SparkSession, *rows: Mapping[str, object]) -> DataFrame:
    """Sale lines that differ from a plain one in what is given."""
    plain = {
        "time": datetime(2011, 1, 3, 10),  # noqa: DTZ001
        "invoice": "500001",
        "product_id": "10001",
        "description": "GLASS JAR",
        "quantity": 1,
        "price": Decimal("2.5"),
        "customer_number": "12345",
        "country": "United Kingdom",
        "copy": 1,
        "month": "2011-01",
    }
    frame = spark.createDataFrame([tuple({**plain, **row}.values()) for row in rows], ddl({**SALES, "month": "string"}))
    return partition_by_month(frame, {}, "product_id")


def on(month: int, day: int, hour: int = 10) -> datetime:
    return datetime(2011, month, day, hour)  # noqa: DTZ001


def test_an_interaction_sums_a_customers_day_with_a_product_and_counts_a_line_once(spark: SparkSession) -> None:
    lines = sales(spark, {"quantity": 2}, {"quantity": 2, "copy": 2}, {"invoice": "500002", "quantity": 3}, {"customer_number": None})
    assert [tuple(row) for row in interactions(partition_by_month(purchases_in_sales(lines), {}, "customer_number")).collect()] == [
        ("12345", "10001", date(2011, 1, 3), "United Kingdom", 5, "2011-01"),
    ]


def test_daily_sales_add_up_each_product_and_country_to_the_penny(spark: SparkSession) -> None:
    lines = sales(
        spark,
        {"quantity": 3, "price": Decimal("0.1")},
        {"quantity": 1, "price": Decimal("0.125"), "copy": 2, "customer_number": None},
        {"country": "France"},
        {"time": on(1, 4)},
    )
    found = daily_sales(lines, date(2011, 1, 4)).orderBy("country").collect()
    assert [tuple(row) for row in found] == [
        ("10001", "France", date(2011, 1, 3), 1, 2.5, 1, "2011-01"),
        ("10001", "United Kingdom", date(2011, 1, 3), 4, 0.425, 2, "2011-01"),
    ]


def test_a_product_has_the_name_that_most_of_its_lines_give(spark: SparkSession) -> None:
    names = ["", "", "", "found", "GLASS  JAR", "GLASS  JAR"]
    lines = sales(spark, *({"description": name} for name in names))
    [row] = products(lines, read_taxonomy()).collect()
    assert (row["name"], row["category"]) == ("GLASS JAR", "Kitchen and dining")


def test_a_name_has_no_control_characters(spark: SparkSession) -> None:
    names = {
        "GLASS\x00JAR": "GLASS JAR",
        "GLASS\x07 BELL\x1a": "GLASS BELL",
        "GLASS\x7f\tJAR": "GLASS JAR",
        "GLASS\x85JAR": "GLASS JAR",
        "GLASS\u2028JAR": "GLASS JAR",
        "\x01\x02\x03": "P5",
    }
    lines = sales(spark, *({"product_id": f"P{number}", "description": description} for number, description in enumerate(names)))
    found = {row["product_id"]: row["name"] for row in products(lines, read_taxonomy()).collect()}
    assert found == {f"P{number}": name for number, name in enumerate(names.values())}


def test_a_name_of_control_characters_is_chosen_only_if_there_is_no_other(spark: SparkSession) -> None:
    [row] = products(sales(spark, {"description": "\x01"}, {"description": "\x01"}, {"description": "JAR"}), read_taxonomy()).collect()
    assert row["name"] == "JAR"


def test_sums_beyond_a_bigint_do_not_end_the_job(spark: SparkSession) -> None:
    lines = sales(spark, *[{"quantity": 1_000_000, "price": Decimal("21474836.47")}] * 50)
    [row] = daily_sales(lines, date(2011, 1, 4)).collect()
    assert (row["units"], row["revenue"]) == (50_000_000, pytest.approx(50 * 21474836.47e6))
    [product] = products(lines, read_taxonomy()).collect()
    assert (product["price_cents"], product["stock"]) == (2**31 - 1, 400_000_000)


def test_a_price_is_the_median_of_the_last_90_days(spark: SparkSession) -> None:
    recent = [{"time": on(6, day), "price": Decimal(price)} for day, price in ((1, "1.2"), (2, "1.3"), (3, "9.99"))]
    [row] = products(sales(spark, {"price": Decimal(5)}, {"price": Decimal(5)}, *recent), read_taxonomy()).collect()
    assert row["price_cents"] == 130


def test_stock_is_eight_weeks_of_the_median_week(spark: SparkSession) -> None:
    days = [(on(1, 3), 2), (on(1, 5), 2), (on(1, 10), 5), (on(3, 7), 100)]
    weeks = [{"time": time, "quantity": quantity} for time, quantity in days]
    [row] = products(sales(spark, *weeks), read_taxonomy()).collect()
    assert row["stock"] == 40


def test_a_category_matches_whole_words_and_the_first_match_counts(spark: SparkSession) -> None:
    known = {"Christmas": ["XMAS"], "Lights": ["LIGHT", "TEA LIGHT"], "Boxes": ["BOX"]}
    names = ["xmas lights", "TEA LIGHT", "BOXES", "LIGHTER", "BOXER"]
    frame = spark.createDataFrame([(name,) for name in names], "name string")
    assert [row[0] for row in frame.select(category(frame["name"], known)).collect()] == ["Christmas", "Lights", "Boxes", "Other", "Other"]
