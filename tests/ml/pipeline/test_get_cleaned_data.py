"""The stage copies the data that the manifest names, verifies it, and writes equal bytes for equal data."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.bucket import Bucket, connect
from lake.errors import InvalidCleanData, StoreUnavailable
from lake.manifest import DATASET_KEY, MANIFEST_KEY
from ml.pipeline import get_cleaned_data
from tests.engines.stores import Store
from tests.ml.lake import BUCKET, Lake


@pytest.fixture
def lake(object_store: Store) -> Lake:
    return Lake(object_store)


@pytest.fixture
def reader(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The lake's bucket, with training's key."""
    access_key, secret_key = object_store.store.keys["training"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    return connect(object_store.store.endpoint, object_store.store.region, BUCKET)


def fetch(bucket: Bucket, folder: Path) -> None:
    get_cleaned_data.fetch(bucket, folder, publish_seconds=0)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_tables_are_written_with_their_dataset_and_origin(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    sha256 = lake.publish(customers=3)
    fetch(reader, tmp_path)
    table = pq.read_table(tmp_path / "clean" / "interactions.parquet")
    assert table.column("customer_number").to_pylist() == ["12346", "12347", "12348"] * 2
    assert sorted(str(month)[:7] for month in table.column("date").unique().to_pylist()) == ["2011-11", "2011-12"]
    assert pq.read_table(tmp_path / "clean" / "daily_sales.parquet").num_rows == 2
    assert pq.read_table(tmp_path / "clean" / "products.parquet").column("name").to_pylist() == ["REGENCY CAKESTAND 3 TIER"]
    dataset = json.loads((tmp_path / "clean" / "dataset.json").read_text())
    assert (dataset["sha256"], dataset["first_date"], dataset["through_date"]) == (sha256, "2011-11-05", "2011-12-05")
    origin = json.loads((tmp_path / "origin.json").read_text())
    assert (origin["job_id"], origin["raw_files"]) == ("job-1", [{"name": "sales.csv", "sha256": "ab" * 32}])


def test_exposures_are_fetched_where_there_are_any(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    hashes = [lake.publish(customers=3, run="1"), lake.publish(customers=3, run="2", lists=2)]
    assert len(set(hashes)) == 2
    fetch(reader, tmp_path)
    table = pq.read_table(tmp_path / "clean" / "exposures.parquet")
    assert table.select(["recommendation_id", "propensity"]).to_pylist() == [
        {"recommendation_id": f"r{n}", "propensity": 0.8} for n in (0, 1)
    ]
    # They have been forgotten since.
    assert lake.publish(customers=3, run="3") == hashes[0]
    fetch(reader, tmp_path)
    assert not (tmp_path / "clean" / "exposures.parquet").exists()


def test_equal_data_of_another_run_gives_equal_bytes(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    lake.publish(customers=3, run="1")
    fetch(reader, tmp_path / "one")
    lake.publish(customers=3, run="2")
    fetch(reader, tmp_path / "two")
    assert files(tmp_path / "one" / "clean") == files(tmp_path / "two" / "clean")


def test_a_file_that_is_not_in_the_manifest_is_ignored(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    lake.publish(customers=3)
    lake.bucket.write("clean/interactions/run=1/month=2011-12/part-1.parquet", b"left by a run that died")
    fetch(reader, tmp_path)
    assert pq.read_table(tmp_path / "clean" / "interactions.parquet").num_rows == 6


def test_a_file_of_another_size_is_invalid(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    lake.publish(customers=3)
    lake.bucket.write("clean/interactions/run=1/month=2011-12/part-0.parquet", b"cut short")
    with pytest.raises(InvalidCleanData, match="month=2011-12/part-0.parquet has 9 bytes, and by the manifest"):
        fetch(reader, tmp_path)


def test_a_missing_file_is_named(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    lake.publish(customers=3)
    lake.bucket.remove(["clean/products/run=1/month=/part-0.parquet"])
    with pytest.raises(InvalidCleanData, match="There is no clean/products/run=1/month=/part-0.parquet"):
        fetch(reader, tmp_path)


def test_before_the_first_etl_the_message_says_so(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    lake.bucket.remove([MANIFEST_KEY])
    with pytest.raises(InvalidCleanData, match="has the ETL been run"):
        fetch(reader, tmp_path)


def test_a_half_published_dataset_is_not_read(lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    lake.publish(customers=3)
    before = reader.read(DATASET_KEY)
    assert before is not None
    lake.publish(customers=4)
    lake.bucket.write(DATASET_KEY, before.content)
    with pytest.raises(InvalidCleanData, match="speak of different data"):
        fetch(reader, tmp_path)


def test_an_unreachable_store_is_reported(object_store: Store, lake: Lake, reader: Bucket, tmp_path: Path) -> None:
    lake.publish(customers=3)
    with object_store.stopped(), pytest.raises(StoreUnavailable, match="The store cannot be reached"):
        fetch(reader, tmp_path)


def test_a_table_in_pieces_is_the_file_that_it_is_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_cleaned_data, "ROW_GROUP_ROWS", 10)
    table = pa.table({"number": range(40), "name": [f"{number % 7}" for number in range(40)]})
    pieces = [table.slice(first, end - first) for first, end in ((0, 3), (3, 3), (3, 17), (17, 40))]
    count = get_cleaned_data.write_table(tmp_path / "pieces.parquet", "sales", table.column_names, pieces)
    pq.write_table(pa.concat_tables(pieces), tmp_path / "whole.parquet", row_group_size=10, compression="zstd")
    assert count == 40
    assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
