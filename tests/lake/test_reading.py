"""Reading tables of the published data."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from minio.credentials.providers import StaticProvider

from lake.bucket import Bucket, connect
from lake.columns import INTERACTIONS
from lake.errors import InvalidCleanData
from lake.manifest import Content, DataFile, Manifest
from lake.reading import read_pieces, read_table
from tests.engines.stores import Store
from tests.lake.test_manifest import content, manifest, month

FOLDER = "tests/reading"


def write(bucket: Bucket, name: str, rows: pa.Table) -> DataFile:
    file = io.BytesIO()
    pq.write_table(rows, file)
    bucket.write(f"{FOLDER}/{name}", file.getvalue())
    return DataFile(key=f"{FOLDER}/{name}", byte_count=len(file.getvalue()))


@pytest.fixture
def bucket(object_store: Store) -> Bucket:
    store = object_store.store
    return connect(store.endpoint, store.region, "lake", StaticProvider(*store.keys["spark"]))


def interactions(bucket: Bucket, row_count: int) -> Manifest:
    """A month of two files."""
    rows = pa.table({"customer_number": ["1", "2"]})
    files = (write(bucket, "one.parquet", rows), write(bucket, "two.parquet", rows))
    return manifest(month(interactions=Content(row_count=row_count, sha256="aa", files=files)))


def test_a_shop_without_customers_has_interactions_without_rows() -> None:
    bucket = connect("http://127.0.0.1:9", "us-east-1", "lake", StaticProvider("key", "secret"))
    table = read_table(bucket, manifest(month(sales=content(2), rejects=content(1))), "interactions")
    assert (table.num_rows, table.column_names) == (0, list(INTERACTIONS))


def test_a_table_is_read_file_by_file(bucket: Bucket) -> None:
    published = interactions(bucket, 4)
    pieces = read_pieces(bucket, published, "interactions")
    assert next(pieces).to_pydict() == {"customer_number": ["1", "2"]}
    # The second file has not been read yet.
    bucket.remove([f"{FOLDER}/two.parquet"])
    with pytest.raises(InvalidCleanData, match="There is no"):
        next(pieces)


def test_rows_that_are_missing_are_noticed(bucket: Bucket) -> None:
    with pytest.raises(InvalidCleanData, match="has 4 rows, and by the manifest 5"):
        read_table(bucket, interactions(bucket, 5), "interactions")
