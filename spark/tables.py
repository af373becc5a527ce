"""The lake's tables as frames: what one run writes of them, and what there is to read."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame, SparkSession

from lake.manifest import Content, DataFile
from lake.publishing import Lake
from lake.schemas import MONTHLY, TABLES, ddl
from spark.cleaning import MONTH
from spark.content import TABLE, content, digest

# By month, the files of a table. A table that is not kept by month has them all under "".
Files = Mapping[str, Sequence[DataFile]]


class Tables:
    """The tables, as one run sees them. What it writes lies under its id, and is nobody's data until it is published."""

    def __init__(self, spark: SparkSession, lake: Lake, run_id: str) -> None:
        self._spark = spark
        self._lake = lake
        self._run_id = run_id

    def write(self, name: str, frame: DataFrame) -> None:
        """Writes rows of a table: one file for each month, whose rows are together already, or one in all."""
        order = TABLES[name].order
        path = self._lake.path(self._folder(name))
        if name in MONTHLY:
            frame.sortWithinPartitions(MONTH, *order).write.partitionBy(MONTH).parquet(path)
        else:
            frame.repartition(1).sortWithinPartitions(*order).write.parquet(path)

    def read(self, name: str, files: Files, months: Iterable[str]) -> DataFrame:
        """One row per row of a table in these months, with the month."""
        table = TABLES[name]
        paths = [self._lake.path(file.key) for month in sorted(months) for file in files.get(month, ())]
        if not paths:
            return self._spark.createDataFrame([], ddl({**table.columns, MONTH: "string"}))
        reader = self._spark.read.schema(ddl({**table.columns, MONTH: "string"})).option("basePath", self._lake.path(table.folder))
        return reader.parquet(*paths).select(*table.columns, MONTH)

    def written(self, name: str) -> dict[str, list[DataFile]]:
        """The files that the run has written of a table."""
        files: dict[str, list[DataFile]] = {}
        for file in self._lake.files(self._folder(name)):
            month = file.key.rpartition("/")[0].rpartition(f"{MONTH}=")[2] if f"/{MONTH}=" in file.key else ""
            files.setdefault(month, []).append(file)
        return files

    def contents(self) -> dict[tuple[str, str], Content]:
        """What the run has written of each table and month, read back from the store."""
        files = {name: self.written(name) for name in TABLES}
        frames = [content(name, self.read(name, files[name], files[name])) for name in TABLES]
        rows = reduce(DataFrame.unionByName, frames).collect()
        return {
            (row[TABLE], row[MONTH]): Content(row_count=row["row_count"], sha256=digest(row), files=tuple(files[row[TABLE]][row[MONTH]]))
            for row in rows
        }

    def discard(self) -> None:
        """Removes what the run has written."""
        for name in TABLES:
            self._lake.remove(self._folder(name))

    def _folder(self, name: str) -> str:
        return f"{TABLES[name].folder}/run={self._run_id}"
