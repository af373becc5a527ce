"""The lake's tables as frames: those that one run writes, and those that are published."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame, SparkSession

from lake.bucket import Bucket
from lake.manifest import Content, DataFile
from lake.schemas import MONTHLY, TABLES, ddl
from spark.content_hash import TABLE, content_hash, content_sums
from spark.partitioning import MONTH

FilesByMonth = Mapping[str, Sequence[DataFile]]
"""The files of a table by month; a table that is not stored by month has all of them under the empty string."""


class RunTables:
    """The tables as one run reads and writes them. Its files lie below its run id, and are no data until it publishes."""

    def __init__(self, spark: SparkSession, bucket: Bucket, run_id: str) -> None:
        self._spark = spark
        self._bucket = bucket
        self._run_id = run_id

    def write(self, name: str, frame: DataFrame) -> None:
        """Writes the rows of a table: one file per month and partition that has rows of it, or one file in all."""
        order = TABLES[name].order
        address = self._address(self._folder(name))
        if name in MONTHLY:
            frame.sortWithinPartitions(MONTH, *order).write.partitionBy(MONTH).parquet(address)
        else:
            frame.repartition(1).sortWithinPartitions(*order).write.parquet(address)

    def read(self, name: str, files: FilesByMonth, months: Iterable[str]) -> DataFrame:
        """One row per row of a table in these months, with the month."""
        table = TABLES[name]
        schema = ddl({**table.columns, MONTH: "string"})
        addresses = [self._address(file.key) for month in sorted(months) for file in files.get(month, ())]
        if not addresses:
            return self._spark.createDataFrame([], schema)
        reader = self._spark.read.schema(schema).option("basePath", self._address(table.folder))
        return reader.parquet(*addresses).select(*table.columns, MONTH)

    def list_written(self, name: str) -> dict[str, list[DataFile]]:
        """The files that the run has written of a table, by month."""
        files: dict[str, list[DataFile]] = {}
        for key, byte_count in self._bucket.byte_counts(self._folder(name)).items():
            month = key.rpartition("/")[0].rpartition(f"{MONTH}=")[2] if f"/{MONTH}=" in key else ""
            files.setdefault(month, []).append(DataFile(key=key, byte_count=byte_count))
        return files

    def read_contents(self) -> dict[tuple[str, str], Content]:
        """What the run has written, by table and month, read back from the store."""
        files = {name: self.list_written(name) for name in TABLES}
        sums = [content_sums(name, self.read(name, files[name], files[name])) for name in TABLES]
        rows = reduce(DataFrame.unionByName, sums).collect()
        return {
            (row[TABLE], row[MONTH]): Content(
                row_count=row["row_count"], sha256=content_hash(row), files=tuple(files[row[TABLE]][row[MONTH]])
            )
            for row in rows
        }

    def remove_written(self) -> None:
        """Removes the files that the run has written."""
        self._bucket.remove(key for name in TABLES for key in self._bucket.byte_counts(self._folder(name)))

    def _folder(self, name: str) -> str:
        return f"{TABLES[name].folder}/run={self._run_id}"

    def _address(self, key: str) -> str:
        return f"s3a://{self._bucket.name}/{key}"
