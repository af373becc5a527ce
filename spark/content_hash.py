"""The content hash: a hash of the rows of a table, or the lines of a file, that is equal on every machine for equal rows."""

import hashlib

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from spark.partitioning import MONTH

TABLE = "table"
PATH = "path"
# Each row gets two 64-bit hashes with different seeds. Each is summed as two 32-bit halves, so that sums of billions of rows fit a bigint.
SUM_COUNT = 4


def content_sums(name: str, rows: DataFrame) -> DataFrame:
    """One row per month of a table: the row count and the sums of the rows' hashes, which do not depend on the order of rows or files."""
    month = F.coalesce(MONTH, F.lit(""))
    # xxhash64 skips nulls, so whether a value is null is hashed too.
    values = [value for column in rows.columns if column != MONTH for value in (F.col(column).isNull(), F.col(column))]
    hashes = rows.select(month.alias(MONTH), F.xxhash64(*values).alias("a"), F.xxhash64(F.lit(1), *values).alias("b"))
    return hashes.groupBy(F.lit(name).alias(TABLE), MONTH).agg(F.count(F.lit(1)).alias("row_count"), *_sums())


def file_sums(lines: DataFrame, path: Column) -> DataFrame:
    """One row per file: the line count and the sums of the lines' hashes.

    lines: the text of each line, in one column
    path: the address of a line's file
    """
    [text] = lines.columns
    hashes = lines.select(path.alias(PATH), F.xxhash64(text).alias("a"), F.xxhash64(F.lit(1), text).alias("b"))
    return hashes.groupBy(PATH).agg(F.count(F.lit(1)).alias("row_count"), *_sums())


def content_hash(row: Row) -> str:
    """The SHA-256 of the row count and the sums.

    row: a row of `content_sums` or `file_sums`
    """
    numbers = [str(row["row_count"]), *(str(row[f"sum_{place}"]) for place in range(SUM_COUNT))]
    return hashlib.sha256("\n".join(numbers).encode()).hexdigest()


def _sums() -> list[Column]:
    """The sums of the hashes `a` and `b`."""
    halves = [half for column in ("a", "b") for half in (_low_half(F.col(column)), F.shiftrightunsigned(column, 32))]
    return [F.sum(half).alias(f"sum_{place}") for place, half in enumerate(halves)]


def _low_half(number: Column) -> Column:
    return number.bitwiseAND(F.lit(0xFFFFFFFF))
