"""Live purchases: what was recorded as bought while the shop ran, until the files of sales have it."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, INTERACTIONS, PRODUCT_ID, QUANTITY
from lake.schemas import MAX_QUANTITY
from spark.cleaning import month_of
from spark.partitioning import MONTH

ORDER, PRICE = "order_id", "price"
# The invoice of a sale line.
INVOICE = "invoice"


def live_purchases(events: DataFrame, through_date: date, time_zone: str) -> DataFrame:
    """One row per purchase up to a day of the shop's time zone: its order, customer, product, day, quantity, price and month.

    An event sent repeatedly counts once, and so does a product of an order: by the event that knows the price, of several the last
    one. A missing quantity is 1, a missing order empty.
    """
    day = F.to_date(F.from_utc_timestamp("event_time", time_zone))
    quantity = F.least(F.greatest(F.coalesce(QUANTITY, F.lit(0)), F.lit(1)), F.lit(MAX_QUANTITY)).cast("bigint")
    order, price = F.coalesce(ORDER, F.lit("")), (F.col("unit_price_cents") / 100).cast("decimal(12,4)")
    event = F.struct(
        price.isNotNull().alias("has_price"),
        "event_time",
        "id",
        F.coalesce(F.nullif(CUSTOMER_NUMBER, F.lit("")), "user_id").alias(CUSTOMER_NUMBER),
        day.alias(DATE),
        quantity.alias(QUANTITY),
        price.alias(PRICE),
    )
    purchases = events.where((F.col("kind") == "EVENT_KIND_PURCHASE") & (day <= F.lit(through_date)))
    lines = purchases.groupBy(order.alias(ORDER), F.when(order == "", F.col("id")).alias("line"), PRODUCT_ID)
    last = lines.agg(F.max(event).alias("event"))
    fields = (f"event.{name}" for name in (CUSTOMER_NUMBER, DATE, QUANTITY, PRICE))
    return last.select(ORDER, PRODUCT_ID, *fields, month_of(F.col(f"event.{DATE}")).alias(MONTH))


def not_in_sales(purchases: DataFrame, sales: DataFrame) -> DataFrame:
    """The live purchases that no sale line has: whose order has no line of the product, under its number as the invoice."""
    filed = sales.select(F.col(INVOICE).alias(ORDER), PRODUCT_ID)
    return purchases.join(filed, [ORDER, PRODUCT_ID], "left_anti")


def as_interactions(purchases: DataFrame) -> DataFrame:
    """One row per live purchase, with the columns of the interactions and the month."""
    return purchases.withColumn(COUNTRY, F.lit(None).cast("string")).select(*INTERACTIONS, MONTH)


def as_sales(purchases: DataFrame, sales: DataFrame) -> DataFrame:
    """One row per live purchase that has an order and a price, with what the daily sales take of a sale line.

    Without an order nobody knows whether the files have it as well.

    sales: of all months. What was never in them is no product yet
    """
    known = purchases.where((F.col(ORDER) != "") & F.col(PRICE).isNotNull()).join(sales.select(PRODUCT_ID), PRODUCT_ID, "left_semi")
    time, quantity = F.col(DATE).cast("timestamp_ntz").alias("time"), F.col(QUANTITY).cast("int").alias(QUANTITY)
    return known.select(time, PRODUCT_ID, quantity, PRICE, F.lit("").alias(COUNTRY), MONTH)
