"""Products: the name, category, price and stock of each product, derived from its sales."""

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
# The longest name that the catalogue accepts.
NAME_LENGTH = 200
# Space, and what the catalogue accepts in no name: control characters, and with them Unicode's ends of lines and paragraphs.
UNPRINTABLE = r"[\s\p{Cc}\p{Zl}\p{Zp}]+"
MAX_INT = 2**31 - 1


def products(sales: DataFrame, taxonomy: Mapping[str, Sequence[str]]) -> DataFrame:
    """One row per product with at least one sale."""
    described = _names(sales).join(_prices(sales), "product_id").join(_stocks(sales), "product_id")
    return described.withColumn("category", category(F.col("name"), taxonomy)).select(*PRODUCTS)


def category(name: Column, taxonomy: Mapping[str, Sequence[str]]) -> Column:
    """The first category of the taxonomy that has a word of the name."""
    upper = F.upper(name)
    (first, words), *others = taxonomy.items()
    matching = F.when(upper.rlike(_any_word(words)), first)
    for title, words in others:
        matching = matching.when(upper.rlike(_any_word(words)), title)
    return matching.otherwise(OTHER)


def read_taxonomy() -> dict[str, list[str]]:
    """The words of each category, in the order of precedence."""
    return tomllib.loads(resources.files("spark").joinpath("taxonomy.toml").read_text("utf-8"))


def _names(sales: DataFrame) -> DataFrame:
    """One row per product: the description that most of its lines give; of equally frequent ones the latest."""
    described = sales.groupBy("product_id", "description").agg(F.count(F.lit(1)).alias("lines"), F.max("time").alias("time"))
    # A blank description is chosen only if there is no other.
    name = F.trim(F.regexp_replace("description", UNPRINTABLE, " "))
    rank = F.struct(name != "", "lines", "time", "description", name.alias("name"))
    best = described.groupBy("product_id").agg(F.max(rank).alias("best"))
    text = F.substring("best.name", 1, NAME_LENGTH)
    return best.select("product_id", F.when(text == "", F.col("product_id")).otherwise(text).alias("name"))


def _prices(sales: DataFrame) -> DataFrame:
    """One row per product: the median price of its lines in the 90 days up to its last sale."""
    last = sales.groupBy("product_id").agg(F.max("time").alias("last"))
    recent = sales.join(last, "product_id").where(F.datediff("last", "time") < RECENT_DAYS)
    median = F.round(F.expr("percentile(price, 0.5)") * 100)
    return recent.groupBy("product_id").agg(F.greatest(median, F.lit(1)).cast("int").alias("price_cents"))


def _stocks(sales: DataFrame) -> DataFrame:
    """One row per product: eight times the median of its weekly units, over the weeks with a sale."""
    week = F.date_trunc("week", "time")
    weekly = sales.groupBy("product_id", week.alias("week")).agg(F.sum("quantity").alias("units"))
    stock = F.ceil(F.expr("percentile(units, 0.5)") * STOCK_WEEKS)
    return weekly.groupBy("product_id").agg(F.least(stock, F.lit(MAX_INT)).cast("int").alias("stock"))


def _any_word(words: Sequence[str]) -> str:
    """A pattern for any of the words, or its plural, not within a longer word."""
    return rf"(?<![A-Z])(?:{'|'.join(re.escape(word) for word in words)})(?:S|ES)?(?![A-Z])"
