"""Clean data of a few rows, published as the ETL does."""

import hashlib
import io
import json
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

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
}
MANIFEST, DATASET = "clean/_MANIFEST.json", "clean/_DATASET.json"


class Lake:
    """The lake's bucket, as the ETL writes it."""

    def __init__(self, store: Store) -> None:
        self._client = store.client("spark")

    def publish(self, customers: int, run: str = "1") -> str:
        """Makes it the data that so many customers bought one thing a month, by an ETL of this run; returns its hash."""
        months: list[dict[str, Any]] = []
        contents: dict[str, dict[str, str]] = {name: {} for name in SCHEMAS}
        for month in ("2011-11", "2011-12"):
            day = date.fromisoformat(f"{month}-05")
            rows: dict[str, list[tuple[Any, ...]]] = {
                "interactions": [(f"{12346 + number}", "22423", day, "France", 1) for number in range(customers)],
                "daily_sales": [("22423", "France", day, customers, 12.75 * customers, customers)],
            }
            tables = {name: self._content(name, listed, month, run) for name, listed in rows.items()}
            months.append({"month": month, "counts": {}, "days": None, "tables": tables})
            for name, content in tables.items():
                contents[name][month] = content["sha256"]
        products = self._content("products", [("22423", "REGENCY CAKESTAND 3 TIER", "kitchen", 1275, 40)], "", run)
        contents["products"][""] = products["sha256"]
        raw_files = [{"name": "sales.csv", "sha256": "ab" * 32, "line_count": customers}]
        manifest = {
            "job_id": f"job-{run}",
            "run_id": run,
            "code_commit": "c0ffee",
            "raw_files": raw_files,
            "months": months,
            "products": products,
        }
        sha256 = hashlib.sha256(json.dumps(contents).encode()).hexdigest()
        dataset = {
            "schema_version": 1,
            "sha256": sha256,
            "first_date": "2011-11-05",
            "through_date": "2011-12-05",
            "columns": {name: dict.fromkeys(schema.names, "") for name, schema in SCHEMAS.items()},
            "contents": contents,
        }
        self.write(MANIFEST, json.dumps(manifest).encode())
        self.write(DATASET, json.dumps(dataset).encode())
        return sha256

    def write(self, key: str, content: bytes) -> None:
        self._client.put_object(BUCKET, key, io.BytesIO(content), len(content))

    def remove(self, key: str) -> None:
        self._client.remove_object(BUCKET, key)

    def _content(self, table: str, rows: list[tuple[Any, ...]], month: str, run: str) -> dict[str, Any]:
        schema = SCHEMAS[table].with_metadata({"written by": f"run {run}"})
        written = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema), written)
        key = f"clean/{table}/run={run}/month={month}/part-0.parquet"
        self.write(key, written.getvalue())
        digest = hashlib.sha256(repr(rows).encode()).hexdigest()
        return {"row_count": len(rows), "sha256": digest, "files": [{"key": key, "byte_count": len(written.getvalue())}]}
