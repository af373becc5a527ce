"""Interactions: what each customer bought, day by day, as the recommender learns from it."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, INTERACTIONS, PRODUCT_ID, QUANTITY
from spark.cleaning import MONTH, month_of


def interactions(purchases: DataFrame) -> DataFrame:
    """One row per customer, product and day on which the customer bought the product: how many, with the month."""
    bought = purchases.groupBy(MONTH, CUSTOMER_NUMBER, PRODUCT_ID, DATE)
    return bought.agg(F.min(COUNTRY).alias(COUNTRY), F.sum(QUANTITY).alias(QUANTITY)).select(*INTERACTIONS, MONTH)


def sold(sales: DataFrame) -> DataFrame:
    """One row per sale line of a known customer; lines that say the very same count as one."""
    distinct = sales.where(F.col(CUSTOMER_NUMBER).isNotNull() & (F.col("copy") == 1))
    quantity = F.col(QUANTITY).cast("bigint").alias(QUANTITY)
    return distinct.select(CUSTOMER_NUMBER, PRODUCT_ID, F.to_date("time").alias(DATE), COUNTRY, quantity, MONTH)


def recorded(events: DataFrame, through: date) -> DataFrame:
    """One row per purchase recorded live up to a day: an event that was sent again counts once, a quantity of none is one."""
    day = F.to_date("event_time")
    bought = events.where((F.col("kind") == "EVENT_KIND_PURCHASE") & (day <= F.lit(through))).dropDuplicates(["id"])
    customer = F.coalesce(F.nullif(CUSTOMER_NUMBER, F.lit("")), "user_id")
    quantity = F.greatest(F.coalesce(QUANTITY, F.lit(0)), F.lit(1)).cast("bigint")
    return bought.select(
        customer.alias(CUSTOMER_NUMBER),
        PRODUCT_ID,
        day.alias(DATE),
        F.lit(None).cast("string").alias(COUNTRY),
        quantity.alias(QUANTITY),
        month_of(day).alias(MONTH),
    )
