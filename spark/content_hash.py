"""The content hash: a hash of a table's rows that is equal on every machine for equal rows."""

import hashlib

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from spark.cleaning import MONTH

TABLE = "table"
# Each row gets two 64-bit hashes with different seeds. Each is summed as two 32-bit halves, so that sums of billions of rows fit a bigint.
SUM_COUNT = 4


def content_sums(name: str, rows: DataFrame) -> DataFrame:
    """One row per month of a table: the row count and the sums of the rows' hashes, which do not depend on the order of rows or files."""
    month = F.coalesce(MONTH, F.lit(""))
    # xxhash64 skips nulls, so whether a value is null is hashed too.
    values = [value for column in rows.columns if column != MONTH for value in (F.col(column).isNull(), F.col(column))]
    hashes = rows.select(month.alias(MONTH), F.xxhash64(*values).alias("a"), F.xxhash64(F.lit(1), *values).alias("b"))
    halves = [half for column in ("a", "b") for half in (_low_half(F.col(column)), F.shiftrightunsigned(column, 32))]
    sums = [F.sum(half).alias(f"sum_{place}") for place, half in enumerate(halves)]
    return hashes.groupBy(F.lit(name).alias(TABLE), MONTH).agg(F.count(F.lit(1)).alias("row_count"), *sums)


def content_hash(row: Row) -> str:
    """The SHA-256 of a month's row count and sums.

    row: a row of `content_sums`
    """
    numbers = [str(row["row_count"]), *(str(row[f"sum_{place}"]) for place in range(SUM_COUNT))]
    return hashlib.sha256("\n".join(numbers).encode()).hexdigest()


def _low_half(number: Column) -> Column:
    return number.bitwiseAND(F.lit(0xFFFFFFFF))
