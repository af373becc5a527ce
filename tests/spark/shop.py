"""A shop of the tests: its raw zone, its lake, and the ETL between them."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from minio import Minio
from minio.credentials.providers import EnvAWSProvider
from pyspark.sql import Row, SparkSession

from lake.manifest import Manifest
from lake.publishing import Lake, connect
from lake.schemas import TABLES
from spark.land import land
from spark.run import Order, Run
from spark.tables import Tables

HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
TODAY = date(2026, 11, 23)


def line(
    invoice: str = "500001",
    product: str = "10001",
    name: str = "GLASS JAR",
    quantity: object = 1,
    time: str = "2011-01-03 10:00:00",
    price: object = 2.5,
    customer: str = "12345",
    country: str = "United Kingdom",
) -> str:
    """A raw line of a sale, as the shop would write it."""
    return f"{invoice},{product},{name},{quantity},{time},{price},{customer},{country}"


@dataclass
class Shop:
    """A shop; raw files come in on one side, clean data goes out on the other."""

    spark: SparkSession
    store_url: str
    bucket: str
    raw: Path

    def __post_init__(self) -> None:
        self.client().make_bucket(self.bucket)

    def client(self) -> Minio:
        return Minio(self.store_url.removeprefix("http://"), secure=False, region="us-east-1", credentials=EnvAWSProvider())

    def lake(self) -> Lake:
        return connect(self.store_url, "us-east-1", self.bucket)

    def land(self, *lines: str, name: str = "sales.csv", header: str = HEADER, today: date = TODAY) -> None:
        """Lands a file of these lines."""
        file = self.raw.parent / name
        file.write_text("\n".join([header, *lines]) + "\n")
        land(file, f"file://{self.raw}", today, lambda *_: None)

    def put(self, name: str, content: bytes) -> None:
        """Puts a file into the raw zone past the landing."""
        file = self.raw / "sales" / "ingest_date=2026-11-23" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(content) if name.endswith(".whole.gz") else content)

    def record(self, *events: dict[str, object]) -> None:
        """Exports events into the raw zone."""
        folder = self.raw / "events"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{token_hex(4)}.json").write_text("\n".join(json.dumps(event) for event in events))

    def run(self, *, full: bool = False, through: date | None = None, reject_share: float = 1.0) -> tuple[Manifest, bool]:
        """Runs the ETL: the manifest of the data as it stands then, and whether the run published it."""
        return self.begin(full=full, through=through, reject_share=reject_share).publish()

    def begin(self, *, full: bool = False, through: date | None = None, reject_share: float = 1.0) -> Run:
        """A run that has seen what is published, and nothing more yet."""
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%S%f}-{token_hex(4)}"
        order = Order(
            run_id=run_id,
            job_id=f"job-{run_id}",
            create_time=now,
            code_commit="",
            raw_root=f"file:{self.raw}",
            through_date=through,
            full=full,
            reject_share=reject_share,
        )
        return Run(order, self.spark, self.lake())

    def rows(self, table: str) -> list[Row]:
        """The published rows of a table, as a reader finds them through the manifest."""
        manifest = self.lake().published()
        assert manifest is not None
        if table == "products":
            files = {"": manifest.products.files}
        else:
            files = {month.month: month.tables[table].files for month in manifest.months if table in month.tables}
        frame = Tables(self.spark, self.lake(), "none").read(table, files, files)
        return sorted(frame.select(*TABLES[table].columns).collect(), key=str)

    def stored(self) -> set[str]:
        """The keys of all data files in the lake, published or not."""
        return {file.key for table in TABLES.values() for file in self.lake().files(table.folder)}


def values(rows: Iterable[Row], *columns: str) -> list[tuple[Any, ...]]:
    """These columns of the rows."""
    return [tuple(row[column] for column in columns) for row in rows]
