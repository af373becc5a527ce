"""Interactions: what each customer bought on each day, which the recommender learns from."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, INTERACTIONS, PRODUCT_ID, QUANTITY
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
