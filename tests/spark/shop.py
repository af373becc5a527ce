"""A shop for tests: its raw zone, its lake, and the ETL between them."""

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from minio.credentials.providers import StaticProvider
from pyspark.sql import DataFrame, Row, SparkSession

from lake.bucket import connect
from lake.landing.landing import land
from lake.manifest import CleaningRules, Manifest
from lake.publishing import read_publication
from lake.schemas import CLEANING_VERSION, TABLES
from spark.run import EtlRun, RunSpec
from spark.tables import RunTables
from tests.engines.stores import Store

HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
TODAY = date(2026, 11, 23)
USER, BUCKET = "spark", "lake"


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
    """A raw sale line."""
    return f"{invoice},{product},{name},{quantity},{time},{price},{customer},{country}"


@dataclass
class Shop:
    """A shop with raw files in a folder and clean data in the store's lake, which is emptied."""

    session: Callable[[], SparkSession]
    store: Store
    raw: Path

    def __post_init__(self) -> None:
        self.store.empty()
        self.bucket = connect(self.store.store.endpoint, self.store.store.region, BUCKET, StaticProvider(*self.store.store.keys[USER]))

    def published(self) -> Manifest | None:
        """The manifest that is published."""
        publication = read_publication(self.bucket)
        return None if publication is None else publication.manifest

    def land(self, *lines: str, name: str = "sales.csv", header: str = HEADER, today: date = TODAY) -> None:
        """Lands a file of these lines."""
        file = self.raw.parent / name
        file.write_text("\n".join([header, *lines]) + "\n")
        land(file, f"file://{self.raw}", today, lambda *_: None)

    def put(self, name: str, content: bytes) -> None:
        """Puts a file into the raw zone without landing it."""
        file = self.raw / "sales" / "ingest_date=2026-11-23" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(content) if name.endswith(".whole.gz") else content)

    def record(self, *events: dict[str, object]) -> None:
        """Exports events into the raw zone."""
        folder = self.raw / "events"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{token_hex(4)}.json").write_text("\n".join(json.dumps(event) for event in events))

    def run(
        self, *, full: bool = False, through: date | None = None, reject_share: float = 1.0, time_zone: str = "UTC"
    ) -> tuple[Manifest, bool]:
        """Runs the ETL; returns the manifest that is then published, and whether this run published it."""
        return self.begin(full=full, through=through, reject_share=reject_share, time_zone=time_zone).publish()

    def begin(
        self, *, full: bool = False, through: date | None = None, reject_share: float = 1.0, time_zone: str = "UTC", hold: bool = False
    ) -> EtlRun:
        """A run that has read what is published, and nothing else."""
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%S%f}-{token_hex(4)}"
        spec = RunSpec(
            run_id=run_id,
            job_id=f"job-{run_id}",
            create_time=now,
            code_commit="",
            raw_root=f"file:{self.raw}",
            through_date=through,
            full=full,
            reject_share=reject_share,
            rules=CleaningRules(version=CLEANING_VERSION, time_zone=time_zone),
            hold_on_warnings=hold,
        )
        return EtlRun(spec, self.session(), self.bucket)

    def rows(self, table: str) -> list[Row]:
        """The published rows of a table, as a reader finds them through the manifest."""
        return sorted(self.frame(table).select(*TABLES[table].columns).collect(), key=str)

    def frame(self, table: str) -> DataFrame:
        """The published rows of a table, with their months."""
        manifest = self.published()
        assert manifest is not None
        files = {month: content.files for month, content in manifest.contents(table).items()}
        return RunTables(self.session(), self.bucket, "none").read(table, files, files)

    def stored(self) -> set[str]:
        """The keys of all data files in the lake, published or not."""
        return {key for table in TABLES.values() for key in self.bucket.byte_counts(table.folder)}


def credentials(store: Store) -> dict[str, str]:
    """The environment variables by which a process finds the key of the lake."""
    access_key, secret_key = store.store.keys[USER]
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}


def values(rows: Iterable[Row], *columns: str) -> list[tuple[Any, ...]]:
    """These columns of the rows."""
    return [tuple(row[column] for column in columns) for row in rows]
