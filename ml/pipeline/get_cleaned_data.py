"""Stage: the clean data, as its manifest in the S3 store names it, into `data/`."""

import io
import json
import sys
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import urllib3
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, Provider
from minio.error import MinioException, S3Error
from pydantic import BaseModel, ValidationError

from ml.pipeline.progress import Report, reporter
from ml.pipeline.settings import Settings

MANIFEST, DATASET = "clean/_MANIFEST.json", "clean/_DATASET.json"
# What the models learn from.
TABLES = ("interactions", "daily_sales", "products")


class Unusable(Exception):
    """The clean data cannot be had, or is not what its manifest says. The text is for people."""


class DataFile(BaseModel, frozen=True):
    """A file of the data, by its key in the bucket."""

    key: str
    byte_count: int


class Content(BaseModel, frozen=True):
    """What a table holds of a month, or in all."""

    row_count: int
    sha256: str
    files: tuple[DataFile, ...]


class Month(BaseModel, frozen=True):
    """The tables of a month; one without rows in it is not there."""

    month: str
    tables: Mapping[str, Content]


class RawFile(BaseModel, frozen=True):
    """A file that the data was made of."""

    name: str
    sha256: str


class Origin(BaseModel, frozen=True):
    """How the data came about, which may differ where the data is equal."""

    job_id: str
    code_commit: str
    raw_files: tuple[RawFile, ...]


class Manifest(Origin, frozen=True):
    """The data, as the ETL publishes it."""

    months: tuple[Month, ...]
    products: Content

    def contents(self, table: str) -> dict[str, Content]:
        """By month; products have but one."""
        if table == "products":
            return {"": self.products}
        return {month.month: month.tables[table] for month in self.months if table in month.tables}


class Dataset(BaseModel, frozen=True):
    """What the data is, equal on every machine for equal data."""

    schema_version: int
    sha256: str
    first_date: date
    through_date: date
    columns: Mapping[str, Mapping[str, str]]
    # By table and month, the hash of its rows.
    contents: Mapping[str, Mapping[str, str]]


class Lake:
    """The bucket of clean data. Each call may raise `Unusable`."""

    def __init__(self, client: Minio, bucket: str, publish_seconds: float) -> None:
        self._client = client
        self._bucket = bucket
        self._publish_seconds = publish_seconds

    def published(self) -> tuple[Manifest, Dataset]:
        """The data as it stands. The two are published one after the other, and this waits for the second."""
        deadline = time.monotonic() + self._publish_seconds
        while True:
            try:
                manifest = Manifest.model_validate_json(self.read(MANIFEST))
                dataset = Dataset.model_validate_json(self.read(DATASET))
            except ValidationError as error:
                raise Unusable(f"The manifest of the clean data cannot be read: {error.errors()[0]['msg']}.") from error
            hashes = {table: {month: content.sha256 for month, content in manifest.contents(table).items()} for table in TABLES}
            if all(dataset.contents.get(table) == hashes[table] for table in TABLES):
                return manifest, dataset
            if time.monotonic() > deadline:
                raise Unusable(f"{DATASET} and {MANIFEST} in the bucket {self._bucket} speak of different data: run the ETL again.")
            time.sleep(0.5)

    def table(self, content: Content) -> pa.Table:
        """The rows of a content, in the order in which they are kept."""
        pieces = []
        for file in content.files:
            written = self.read(file.key)
            if len(written) != file.byte_count:
                raise Unusable(f"{file.key} has {len(written)} bytes, and by the manifest {file.byte_count}.")
            # What wrote it is noted in it, and is no part of the data.
            pieces.append(pq.read_table(io.BytesIO(written)).replace_schema_metadata(None))
        table = pa.concat_tables(pieces)
        if table.num_rows != content.row_count:
            raise Unusable(f"{content.files[0].key} has {table.num_rows} rows, and by the manifest {content.row_count}.")
        return table

    def read(self, key: str) -> bytes:
        """The content of an object."""
        try:
            with self._client.get_object(self._bucket, key) as answer:
                return answer.read()
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise Unusable(f"There is no {key} in the bucket {self._bucket}: has the ETL been run?") from error
            raise Unusable(f"The store does not give {key}: {error.message}.") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Unusable(f"The store cannot be reached: {error}.") from error


def connect(url: str, region: str, bucket: str, keys: Provider | None = None, publish_seconds: float = 30) -> Lake:
    """The lake in a bucket.

    keys: without them, those of the environment, else of the file that AWS_SHARED_CREDENTIALS_FILE names
    publish_seconds: how long a publishing that is under way may take
    """
    address = urlsplit(url)
    client = Minio(
        address.netloc,
        secure=address.scheme == "https",
        region=region,
        credentials=keys or ChainedProvider([EnvAWSProvider(), AWSConfigProvider()]),
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(_TIMEOUT_SECONDS), retries=urllib3.Retry(3, backoff_factor=0.5)),
    )
    return Lake(client, bucket, publish_seconds)


def fetch(lake: Lake, folder: Path, report: Report = print) -> Dataset:
    """Writes the tables, and `dataset.json`, to `clean/` below a folder, and `origin.json` beside it. Equal data gives equal bytes there.

    Reports each table that is written. Raises `Unusable`.
    """
    manifest, dataset = lake.published()
    clean = folder / "clean"
    clean.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        contents = manifest.contents(name)
        if not contents:
            raise Unusable(f"The clean data has no {name}.")
        table = pa.concat_tables([lake.table(contents[month]) for month in sorted(contents)])
        if table.column_names != list(dataset.columns[name]):
            raise Unusable(f"{name} has the columns {', '.join(table.column_names)}, and by {DATASET} {', '.join(dataset.columns[name])}.")
        pq.write_table(table, clean / f"{name}.parquet", compression="zstd")
        report(f"{name}: {table.num_rows:,} rows")
    _write(clean / "dataset.json", dataset.model_dump(mode="json"))
    _write(folder / "origin.json", Origin.model_validate(manifest.model_dump()).model_dump(mode="json"))
    return dataset


def main() -> None:
    settings = Settings()
    report = reporter("get_cleaned_data", settings)
    report("fetching the clean data")
    try:
        dataset = fetch(connect(settings.store_url, settings.store_region, settings.lake_bucket), Path("data"), report)
    except Unusable as error:
        sys.exit(str(error))
    report(f"clean data from {dataset.first_date} through {dataset.through_date}, {dataset.sha256[:12]}")


_TIMEOUT_SECONDS = 30


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
