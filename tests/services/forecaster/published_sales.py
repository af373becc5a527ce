"""The small shop's sales, published as clean data."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq

from lake.bucket import Bucket
from lake.columns import CATEGORY, COUNTRY, DATE, LINES, NAME, PRICE_CENTS, PRODUCT_ID, REVENUE, UNITS
from lake.manifest import Content, Counts, DataFile, Events, Manifest, Month
from lake.publishing import publish, read_publication
from lake.schemas import SCHEMA_VERSION
from tests.ml.forecaster.shop import PRODUCTS

# Units by product, country and day.
Sales = Mapping[tuple[str, str, date], int]

_SALES = pa.schema(
    {PRODUCT_ID: pa.string(), COUNTRY: pa.string(), DATE: pa.date32(), UNITS: pa.int64(), REVENUE: pa.float64(), LINES: pa.int64()}
)
_PRODUCTS = pa.schema({PRODUCT_ID: pa.string(), NAME: pa.string(), CATEGORY: pa.string(), PRICE_CENTS: pa.int32()})


def publish_sales(bucket: Bucket, sales: Sales, last_date: date, run: str) -> None:
    """Publishes sales as the ETL run with this id, up to a last complete day."""
    rows = [(*key, units, float(units), 1) for key, units in sorted(sales.items(), key=lambda item: item[0][2])]
    months = tuple(
        Month(
            month=month, counts=Counts(), days=None, tables={"daily_sales": _write(bucket, "daily_sales", _SALES, [*of_month], run, month)}
        )
        for month, of_month in groupby(rows, key=lambda row: f"{row[2]:%Y-%m}")
    )
    products = [(name, f"a {name}", category, 100) for name, category in sorted(PRODUCTS.items())]
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=run,
        job_id=f"job-{run}",
        code_commit="",
        create_time=datetime(2026, 11, 28, tzinfo=UTC),
        raw_files=(),
        events=Events(),
        counts=Counts(),
        first_date=rows[0][2],
        # The last day of the sales may be incomplete.
        through_date=last_date + timedelta(days=1),
        months=months,
        products=_write(bucket, "products", _PRODUCTS, products, run, ""),
    )
    publish(bucket, manifest, read_publication(bucket))


def _write(bucket: Bucket, table: str, schema: pa.Schema, rows: Sequence[tuple[object, ...]], run: str, month: str) -> Content:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema), file)
    key = f"clean/{table}/run={run}/month={month}/part-0.parquet"
    bucket.write(key, file.getvalue())
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    return Content(row_count=len(rows), sha256=digest, files=(DataFile(key=key, byte_count=len(file.getvalue())),))
