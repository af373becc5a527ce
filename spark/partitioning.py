"""How the rows of monthly tables are divided: by month, and large months further."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# The month of a row as `YYYY-MM`, and the part of it that the row belongs to; aggregations that name both need no further shuffle.
MONTH, BUCKET = "month", "bucket"
# Rows that one task sorts and writes to one file: some 100 MB as Parquet.
BUCKET_ROWS = 4_000_000


def partition_by_month(rows: DataFrame, row_counts: Mapping[str, int], *columns: str) -> DataFrame:
    """The rows with their bucket: each bucket is in one partition, and rows of a month that are equal in these columns are in one bucket.

    row_counts: how many rows there are, about, by month
    """
    bucket_counts = {month: -(-count // BUCKET_ROWS) for month, count in row_counts.items() if count > BUCKET_ROWS}
    bucket = F.lit(0)
    if bucket_counts:
        sizes = F.create_map(*(F.lit(value) for pair in bucket_counts.items() for value in pair))
        bucket = F.pmod(F.xxhash64(*columns), F.coalesce(sizes[F.col(MONTH)], F.lit(1))).cast("int")
    return rows.withColumn(BUCKET, bucket).repartition(MONTH, BUCKET)
