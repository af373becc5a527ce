"""The content of the clean data as a number that is equal on every machine for equal data."""

import hashlib

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from spark.cleaning import MONTH

TABLE = "table"
# A row is hashed twice, each time from another start, and each hash halved, so that sums of billions of rows stay within a bigint.
LANES = 4


def content(name: str, rows: DataFrame) -> DataFrame:
    """One row per month of a table: how many rows there are, and their hashes added up, which no order of rows or files changes."""
    month = F.coalesce(MONTH, F.lit(""))
    # xxhash64 passes over nulls, so each column says itself whether it is one.
    values = [value for column in rows.columns if column != MONTH for value in (F.col(column).isNull(), F.col(column))]
    hashed = rows.select(month.alias(MONTH), F.xxhash64(*values).alias("a"), F.xxhash64(F.lit(1), *values).alias("b"))
    lanes = [lane for hash in ("a", "b") for lane in (low(F.col(hash)), F.shiftrightunsigned(hash, 32))]
    sums = [F.sum(lane).alias(f"lane_{place}") for place, lane in enumerate(lanes)]
    return hashed.groupBy(F.lit(name).alias(TABLE), MONTH).agg(F.count(F.lit(1)).alias("row_count"), *sums)


def low(number: Column) -> Column:
    """The lower half of a bigint."""
    return number.bitwiseAND(F.lit(0xFFFFFFFF))


def digest(row: Row) -> str:
    """The SHA-256 of a month's content."""
    told = [str(row["row_count"]), *(str(row[f"lane_{i}"]) for i in range(LANES))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
