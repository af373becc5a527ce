"""What is measured of the data's quality: see lake/quality.py."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.manifest import Counts
from lake.quality import BASELINE_MONTHS, OTHER, MonthFigures
from spark.cleaning import UNDATED
from spark.partitioning import MONTH

# The countries of a month that are counted by themselves.
COUNTRIES = 50


def months_to_measure(months: Iterable[str], measured: Container[str], cleaned: Iterable[str]) -> list[str]:
    """The months whose figures are missing, or may change with those of the cleaned months.

    months: those with sales
    measured: those with figures
    cleaned: those whose sales were written again
    """
    changed = {_number(name) for name in cleaned if name != UNDATED}
    return [
        name
        for name in sorted(months)
        if name not in measured or any(_number(name) - BASELINE_MONTHS <= number <= _number(name) for number in changed)
    ]


def baseline_months(months: Iterable[str], measured: Iterable[str]) -> set[str]:
    """The measured months, and those of `months` that any of them is compared with."""
    numbers = {_number(name) for name in measured}
    return {name for name in months if any(0 <= number - _number(name) <= BASELINE_MONTHS for number in numbers)}


def measure(sales: DataFrame, products: DataFrame, counts: Mapping[str, Counts], first_month: str) -> dict[str, MonthFigures]:
    """The figures of each month of `counts` that has sales.

    sales: the sales of these months, and of the BASELINE_MONTHS before them
    counts: the line counts by month
    first_month: the first month of all sales
    """
    measured = sales.where(F.col(MONTH).isin(*counts))
    totals = {row[MONTH]: row for row in _totals(measured).collect()}
    is_new = {row[MONTH]: row["new_share"] for row in _new_products(sales).where(F.col(MONTH).isin(*counts)).collect()}
    categories = _counts_by_name(measured.join(products.select("product_id", "category"), "product_id"), "category")
    countries = _counts_by_name(measured, "country")
    return {
        month: MonthFigures(
            lines_per_day=row["line_count"] / row["day_count"],
            reject_share=_reject_share(counts[month]),
            missing_customer_share=row["stranger_count"] / row["line_count"],
            median_price=row["median_price"],
            basket_size=row["line_count"] / row["invoice_count"],
            new_product_share=is_new[month] if _number(month) - _number(first_month) >= BASELINE_MONTHS else None,
            category_lines=categories[month],
            country_lines=countries[month],
        )
        for month, row in sorted(totals.items())
    }


def _totals(sales: DataFrame) -> DataFrame:
    """One row per month: its counts, and the median price."""
    baskets = sales.groupBy(MONTH, "invoice", F.to_date("time").alias("date")).agg(
        F.count(F.lit(1)).alias("lines"), F.count_if(F.col("customer_number").isNull()).alias("strangers")
    )
    counted = baskets.groupBy(MONTH).agg(
        F.sum("lines").alias("line_count"),
        F.sum("strangers").alias("stranger_count"),
        F.countDistinct("invoice").alias("invoice_count"),
        F.countDistinct("date").alias("day_count"),
    )
    prices = sales.groupBy(MONTH).agg(F.percentile(F.col("price").cast("double"), F.lit(0.5)).alias("median_price"))
    return counted.join(prices, MONTH)


def _new_products(sales: DataFrame) -> DataFrame:
    """One row per month: the share of its products that had no sale in the BASELINE_MONTHS before."""
    number = _month_number(F.col(MONTH)).alias("number")
    sold = sales.select(MONTH, number, "product_id").distinct()
    before = F.lag("number").over(Window.partitionBy("product_id").orderBy("number"))
    is_new = F.coalesce(F.col("number") - before > BASELINE_MONTHS, F.lit(True))
    return sold.select(MONTH, is_new.cast("int").alias("is_new")).groupBy(MONTH).agg(F.mean("is_new").alias("new_share"))


def _counts_by_name(sales: DataFrame, column: str) -> dict[str, dict[str, int]]:
    """The sale lines by month and value of a column; those beyond the most frequent values are under the empty name."""
    rank = F.row_number().over(Window.partitionBy(MONTH).orderBy(F.desc("lines"), column))
    counted = sales.groupBy(MONTH, column).agg(F.count(F.lit(1)).alias("lines")).withColumn("rank", rank)
    name = F.when(F.col("rank") <= COUNTRIES, F.col(column)).otherwise(OTHER).alias("name")
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in counted.groupBy(MONTH, name).agg(F.sum("lines").alias("lines")).orderBy(MONTH, "name").collect():
        counts[row[MONTH]][row["name"]] = row["lines"]
    return counts


def _reject_share(counts: Counts) -> float:
    rejects = sum(counts.refused.values())
    return rejects / max(counts.sale_lines + rejects, 1)


def _month_number(month: Column) -> Column:
    return F.substring(month, 1, 4).cast("int") * 12 + F.substring(month, 6, 2).cast("int")


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])
