"""Reading the published clean data as Arrow tables, each file checked against the manifest."""

import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from lake.bucket import Bucket
from lake.errors import InvalidCleanData
from lake.manifest import DATASET_KEY, MANIFEST_KEY, Content, Dataset, Manifest
from lake.schemas import TABLES

# The tables that the models learn from.
MODEL_TABLES = ("interactions", "daily_sales", "products", "exposures")
# The Arrow types of these tables' SQL types.
ARROW_TYPES = {
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp_ntz": pa.timestamp("us"),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
}
# How long a publication under way may take to write the second of its two objects.
PUBLISH_SECONDS = 30
POLL_SECONDS = 0.5


def read_published(bucket: Bucket, publish_seconds: float = PUBLISH_SECONDS) -> tuple[Manifest, Dataset]:
    """The manifest and the data set of the published data.

    The two objects are written one after the other; if they disagree, this waits for the second.

    Raises `InvalidCleanData` if they are missing, malformed or still disagree, and `StoreError`.
    """
    deadline = time.monotonic() + publish_seconds
    while True:
        try:
            manifest = Manifest.model_validate_json(_read(bucket, MANIFEST_KEY))
            dataset = Dataset.model_validate_json(_read(bucket, DATASET_KEY))
        except ValidationError as error:
            raise InvalidCleanData(f"The manifest of the clean data cannot be read: {error.errors()[0]['msg']}.") from error
        if all(dataset.contents.get(table, {}) == manifest.row_hashes(table) for table in MODEL_TABLES):
            return manifest, dataset
        if time.monotonic() > deadline:
            objects = f"{DATASET_KEY} and {MANIFEST_KEY} in the bucket {bucket.name}"
            raise InvalidCleanData(f"{objects} speak of different data: run the ETL again.")
        time.sleep(POLL_SECONDS)


def read_table(bucket: Bucket, manifest: Manifest, table: str, first_month: str = "") -> pa.Table:
    """The rows of a table, as `read_pieces` returns them, in one."""
    return pa.concat_tables(read_pieces(bucket, manifest, table, first_month))


def read_pieces(bucket: Bucket, manifest: Manifest, table: str, first_month: str = "") -> Iterator[pa.Table]:
    """The rows of a table, month after month, each in the order in which it is stored: one file of the store at a time.

    There is at least one piece, if need be without rows: a shop without customers has no interactions.

    first_month: `YYYY-MM`; by default all months are read

    Raises `InvalidCleanData` if a file is missing or not what the manifest says, and `StoreError`.
    """
    contents = {month: content for month, content in manifest.contents(table).items() if month >= first_month}
    if not contents:
        yield pa.schema([(name, ARROW_TYPES[kind]) for name, kind in TABLES[table].columns.items()]).empty_table()
    for month in sorted(contents):
        yield from _read_content(bucket, contents[month])


def read_parquet(content: bytes) -> pa.Table:
    """All rows of a Parquet file in memory.

    In this thread alone: threads of Arrow's that still hold an object of Python's abort the process at its end (apache/arrow issue 34314).
    """
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)


def _read_content(bucket: Bucket, content: Content) -> Iterator[pa.Table]:
    row_count = 0
    for file in content.files:
        data = _read(bucket, file.key)
        if len(data) != file.byte_count:
            raise InvalidCleanData(f"{file.key} has {len(data)} bytes, and by the manifest {file.byte_count}.")
        # The metadata names the writer and is no part of the data.
        piece = read_parquet(data).replace_schema_metadata(None)
        row_count += piece.num_rows
        yield piece
    if row_count != content.row_count:
        raise InvalidCleanData(f"{content.files[0].key} has {row_count} rows, and by the manifest {content.row_count}.")


def _read(bucket: Bucket, key: str) -> bytes:
    stored = bucket.read(key)
    if stored is None:
        raise InvalidCleanData(f"There is no {key} in the bucket {bucket.name}: has the ETL been run?")
    return stored.content
