"""Daily sales: the units and the revenue of each product in each country, which the forecaster learns from."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.columns import COUNTRY, DAILY_SALES, DATE, LINES, PRODUCT_ID, QUANTITY, REVENUE, UNITS
from spark.partitioning import BUCKET, MONTH

# Revenue is summed as a whole number of ten-thousandths: the sum is exact, and the same in any order.
REVENUE_SCALE = 10_000


def daily_sales(sales: DataFrame, last_date: date) -> DataFrame:
    """One row per product, country and day before the last with a sale: units, revenue and lines, with the month.

    sales: and live purchases, with the bucket of `partition_by_month`, by product
    """
    day = F.to_date("time")
    price = F.round(F.col("price").cast("double") * REVENUE_SCALE).cast("bigint")
    lines = sales.where(day < F.lit(last_date)).select(PRODUCT_ID, COUNTRY, day.alias(DATE), QUANTITY, price.alias("price"), MONTH, BUCKET)
    line_total = F.col(QUANTITY) * F.col("price")
    totals = lines.groupBy(MONTH, BUCKET, PRODUCT_ID, COUNTRY, DATE).agg(
        F.sum(QUANTITY).alias(UNITS),
        # Beyond a bigint, where cents no longer tell, the sum is inexact rather than the end of the job.
        (F.coalesce(F.try_sum(line_total).cast("double"), F.sum(line_total.cast("double"))) / F.lit(REVENUE_SCALE)).alias(REVENUE),
        F.count(F.lit(1)).alias(LINES),
    )
    return totals.select(*DAILY_SALES, MONTH)
