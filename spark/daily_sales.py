"""Daily sales: what was sold of each product in each country, as the forecaster learns from it."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.columns import COUNTRY, DAILY_SALES, DATE, LINES, PRODUCT_ID, REVENUE, UNITS
from spark.cleaning import MONTH

# Revenue is summed in ten-thousandths, which are whole numbers: the sum is exact, and the same in whatever order it is made.
SHARE = 10_000


def daily_sales(sales: DataFrame, last_date: date) -> DataFrame:
    """One row per product, country and day before the last with a sale: units, revenue and lines, with the month."""
    day = F.to_date("time")
    price = F.round(F.col("price").cast("double") * SHARE).cast("bigint")
    lines = sales.where(day < F.lit(last_date)).select(PRODUCT_ID, COUNTRY, day.alias(DATE), "quantity", price.alias("price"), MONTH)
    sold = lines.groupBy(MONTH, PRODUCT_ID, COUNTRY, DATE)
    totals = sold.agg(
        F.sum("quantity").alias(UNITS),
        (F.sum(F.col("quantity") * F.col("price")) / F.lit(SHARE)).cast("double").alias(REVENUE),
        F.count(F.lit(1)).alias(LINES),
    )
    return totals.select(*DAILY_SALES, MONTH)
