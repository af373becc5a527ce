"""Clean data of a few rows, published as the ETL does."""

import hashlib
import io
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from minio.credentials.providers import StaticProvider

from lake.bucket import connect
from lake.manifest import Content, Counts, DataFile, Events, Manifest, Month, SourceFile
from lake.publishing import publish, read_publication
from lake.schemas import SCHEMA_VERSION
from tests.engines.stores import Store

BUCKET = "lake"
SCHEMAS = {
    "interactions": pa.schema(
        {"customer_number": pa.string(), "product_id": pa.string(), "date": pa.date32(), "country": pa.string(), "quantity": pa.int64()}
    ),
    "daily_sales": pa.schema(
        {
            "product_id": pa.string(),
            "country": pa.string(),
            "date": pa.date32(),
            "units": pa.int64(),
            "revenue": pa.float64(),
            "lines": pa.int64(),
        }
    ),
    "products": pa.schema(
        {"product_id": pa.string(), "name": pa.string(), "category": pa.string(), "price_cents": pa.int32(), "stock": pa.int32()}
    ),
    "exposures": pa.schema(
        {
            "recommendation_id": pa.string(),
            "customer_number": pa.string(),
            "slot": pa.string(),
            "time": pa.timestamp("us"),
            "product_id": pa.string(),
            "position": pa.int32(),
            "propensity": pa.float64(),
            "click_time": pa.timestamp("us"),
            "purchase_time": pa.timestamp("us"),
        }
    ),
}


class Lake:
    """The lake of a shop where every customer buys the same product once a month."""

    def __init__(self, store: Store) -> None:
        self.bucket = connect(store.store.endpoint, store.store.region, BUCKET, StaticProvider(*store.store.keys["spark"]))

    def publish(self, customers: int, run: str = "1", lists: int = 0) -> str:
        """Publishes the purchases of so many customers, and lists that were shown, as the ETL run with this id; returns the data hash."""
        time = datetime(2011, 12, 1)  # noqa: DTZ001
        shown = [(f"r{number}", "12346", "home", time, "22423", 1, 0.8, None, None) for number in range(lists)]
        months = [self._month(month, customers, run) for month in ("2011-11", "2011-12")]
        days = [day for month in months for day in month.days or ()]
        lines = customers * len(months)
        names = tuple(month.month for month in months)
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            run_id=run,
            job_id=f"job-{run}",
            code_commit="c0ffee",
            create_time=datetime(2026, 11, 23, tzinfo=UTC),
            raw_files=(SourceFile(name="sales.csv", sha256="ab" * 32, line_count=lines, refused={}, months=names, extra_columns=()),),
            events=Events(),
            counts=Counts.total(month.counts for month in months),
            first_date=min(days),
            through_date=max(days),
            months=tuple(months),
            products=self._content("products", [("22423", "REGENCY CAKESTAND 3 TIER", "kitchen", 1275, 40)], "", run),
            exposures=self._content("exposures", shown, "", run) if shown else None,
        )
        publish(self.bucket, manifest, read_publication(self.bucket))
        return manifest.dataset().sha256

    def _month(self, month: str, customers: int, run: str) -> Month:
        day = date.fromisoformat(f"{month}-05")
        rows: dict[str, list[tuple[Any, ...]]] = {
            "interactions": [(f"{12346 + number}", "22423", day, "France", 1) for number in range(customers)],
            "daily_sales": [("22423", "France", day, customers, 12.75 * customers, customers)],
        }
        tables = {name: self._content(name, listed, month, run) for name, listed in rows.items()}
        return Month(month=month, counts=Counts(lines_in=customers, sale_lines=customers), days=(day, day), tables=tables)

    def _content(self, table: str, rows: list[tuple[Any, ...]], month: str, run: str) -> Content:
        schema = SCHEMAS[table].with_metadata({"written by": f"run {run}"})
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema), file)
        key = f"clean/{table}/run={run}/month={month}/part-0.parquet"
        self.bucket.write(key, file.getvalue())
        return Content(
            row_count=len(rows),
            sha256=hashlib.sha256(repr(rows).encode()).hexdigest(),
            files=(DataFile(key=key, byte_count=len(file.getvalue())),),
        )
