"""Exposures: what shoppers saw of the lists that they were shown, and what they did with it, which the recommender learns from."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.columns import (
    CLICK_TIME,
    CUSTOMER_NUMBER,
    EXPOSURES,
    POSITION,
    PRODUCT_ID,
    PROPENSITY,
    PURCHASE_TIME,
    RECOMMENDATION_ID,
    SLOT,
    TIME,
)

# Events that say that a shopper was interested in a product. A purchase does too.
CLICK_KINDS = ("CLICK", "VIEW", "CART", "WISHLIST", "PURCHASE")
_USER, _KIND = "user_id", "kind"


def exposures(lists: DataFrame, events: DataFrame, through_date: date, time_zone: str) -> DataFrame:
    """One row per product that a shopper saw in a list up to a day of the shop's time zone, with what followed up to that day.

    An event follows from a list if it names the list, is its shopper's, and is about a product of it. A product was seen if there is
    such an event. Lists without an impression are left out, since nobody knows which of their products were passed over.

    lists: with the columns of `lake.schemas.EXPOSED_LISTS`
    events: with the columns of `lake.schemas.EVENTS`
    """
    in_time = F.to_date("event_time_local") <= F.lit(through_date)
    followed = events.withColumn("event_time_local", _local(F.col("event_time"), time_zone)).where(
        in_time & (F.coalesce(RECOMMENDATION_ID, F.lit("")) != "")
    )
    keys = [RECOMMENDATION_ID, _USER]
    with_impression = followed.where(F.col(_KIND) == _kind("IMPRESSION")).select(*keys).distinct()
    outcomes = followed.groupBy(*keys, PRODUCT_ID).agg(
        _first_time(*CLICK_KINDS).alias(CLICK_TIME), _first_time("PURCHASE").alias(PURCHASE_TIME)
    )
    made = lists.withColumn(TIME, _local(F.col("create_time"), time_zone)).where(F.to_date(TIME) <= F.lit(through_date))
    products = made.select(*keys, F.coalesce(SLOT, F.lit("")).alias(SLOT), TIME, F.inline("products"))
    seen = products.join(with_impression, keys, "left_semi").join(outcomes, [*keys, PRODUCT_ID])
    number = F.coalesce("known_number", _USER).alias(CUSTOMER_NUMBER)
    columns = (RECOMMENDATION_ID, number, SLOT, TIME, PRODUCT_ID, POSITION, PROPENSITY, CLICK_TIME, PURCHASE_TIME)
    return seen.join(_customer_numbers(events), _USER, "left").select(*columns).select(*EXPOSURES)


def _customer_numbers(events: DataFrame) -> DataFrame:
    """One row per user with a number in the sales history: the last one that their events have."""
    numbered = events.where(F.coalesce(CUSTOMER_NUMBER, F.lit("")) != "")
    return numbered.groupBy(_USER).agg(F.max_by(CUSTOMER_NUMBER, F.struct("event_time", "id")).alias("known_number"))


def _first_time(*kinds: str) -> Column:
    return F.min(F.when(F.col(_KIND).isin(*map(_kind, kinds)), F.col("event_time_local")))


def _kind(name: str) -> str:
    return f"EVENT_KIND_{name}"


def _local(time: Column, time_zone: str) -> Column:
    """A moment as local time, without a zone."""
    return F.from_utc_timestamp(time, time_zone).cast("timestamp_ntz")
