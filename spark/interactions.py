"""Interactions: what each customer bought on each day, which the recommender learns from."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, INTERACTIONS, PRODUCT_ID, QUANTITY
from spark.cleaning import month_of
from spark.partitioning import BUCKET, MONTH


def interactions(purchases: DataFrame) -> DataFrame:
    """One row per customer, product and day on which the customer bought the product: the quantity, with the month.

    purchases: with the bucket of `partition_by_month`, by customer
    """
    days = purchases.groupBy(MONTH, BUCKET, CUSTOMER_NUMBER, PRODUCT_ID, DATE)
    return days.agg(F.nullif(F.min(COUNTRY), F.lit("")).alias(COUNTRY), F.sum(QUANTITY).alias(QUANTITY)).select(*INTERACTIONS, MONTH)


def purchases_in_sales(sales: DataFrame) -> DataFrame:
    """One row per sale line of a known customer; exact duplicates of a line count once."""
    distinct = sales.where(F.col(CUSTOMER_NUMBER).isNotNull() & (F.col("copy") == 1))
    quantity = F.col(QUANTITY).cast("bigint").alias(QUANTITY)
    return distinct.select(CUSTOMER_NUMBER, PRODUCT_ID, F.to_date("time").alias(DATE), COUNTRY, quantity, MONTH)


def purchases_in_events(events: DataFrame, through_date: date, time_zone: str) -> DataFrame:
    """One row per purchase event up to a day of the shop's time zone; an event sent repeatedly counts once, a missing quantity is 1."""
    day = F.to_date(F.from_utc_timestamp("event_time", time_zone))
    is_purchase = (F.col("kind") == "EVENT_KIND_PURCHASE") & (day <= F.lit(through_date))
    customer = F.coalesce(F.nullif(CUSTOMER_NUMBER, F.lit("")), "user_id")
    quantity = F.greatest(F.coalesce(QUANTITY, F.lit(0)), F.lit(1)).cast("bigint")
    return (
        events.where(is_purchase)
        .dropDuplicates(["id"])
        .select(
            customer.alias(CUSTOMER_NUMBER),
            PRODUCT_ID,
            day.alias(DATE),
            F.lit(None).cast("string").alias(COUNTRY),
            quantity.alias(QUANTITY),
            month_of(day).alias(MONTH),
        )
    )
