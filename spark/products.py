"""Products: names, categories, prices and stock, made from what was sold."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.schemas import PRODUCTS

OTHER = "Other"
RECENT_DAYS = 90
STOCK_WEEKS = 8
# What the catalogue takes for a name.
NAME_LENGTH = 200


def products(sales: DataFrame, taxonomy: Mapping[str, Sequence[str]]) -> DataFrame:
    """One row per product that was ever sold."""
    name = F.col("name")
    found = names(sales).join(prices(sales), "product_id").join(stocks(sales), "product_id")
    return found.withColumn("category", category(name, taxonomy)).select(*PRODUCTS)


def names(sales: DataFrame) -> DataFrame:
    """One row per product: the description that most of its lines give; the later one where two are as frequent."""
    described = sales.groupBy("product_id", "description").agg(F.count(F.lit(1)).alias("lines"), F.max("time").alias("time"))
    # A blank description is chosen only where there is no other.
    rank = F.struct(F.col("description") != "", "lines", "time", "description")
    best = described.groupBy("product_id").agg(F.max(rank).alias("best"))
    text = F.substring(F.regexp_replace("best.description", r"\s+", " "), 1, NAME_LENGTH)
    return best.select("product_id", F.when(text == "", F.col("product_id")).otherwise(text).alias("name"))


def prices(sales: DataFrame) -> DataFrame:
    """One row per product: the median price of its lines in the 90 days up to its last sale."""
    last = sales.groupBy("product_id").agg(F.max("time").alias("last"))
    recent = sales.join(F.broadcast(last), "product_id").where(F.datediff("last", "time") < RECENT_DAYS)
    median = F.round(F.expr("percentile(price, 0.5)") * 100)
    return recent.groupBy("product_id").agg(F.greatest(median, F.lit(1)).cast("int").alias("price_cents"))


def stocks(sales: DataFrame) -> DataFrame:
    """One row per product: eight weeks of its median weekly sales, counting the weeks in which it sold."""
    week = F.date_trunc("week", "time")
    weekly = sales.groupBy("product_id", week.alias("week")).agg(F.sum("quantity").alias("units"))
    stock = F.ceil(F.expr("percentile(units, 0.5)") * STOCK_WEEKS)
    return weekly.groupBy("product_id").agg(F.least(stock, F.lit(2**31 - 1)).cast("int").alias("stock"))


def category(name: Column, taxonomy: Mapping[str, Sequence[str]]) -> Column:
    """The first category of the taxonomy that has a word of the name."""
    upper = F.upper(name)
    (first, words), *others = taxonomy.items()
    found = F.when(upper.rlike(pattern(words)), first)
    for title, words in others:
        found = found.when(upper.rlike(pattern(words)), title)
    return found.otherwise(OTHER)


def pattern(words: Sequence[str]) -> str:
    """Matches any of the words, or its plural, standing by itself."""
    return rf"(?<![A-Z])(?:{'|'.join(re.escape(word) for word in words)})(?:S|ES)?(?![A-Z])"


def taxonomy() -> dict[str, list[str]]:
    """The categories and their words, in order."""
    return tomllib.loads(resources.files("spark").joinpath("taxonomy.toml").read_text("utf-8"))
