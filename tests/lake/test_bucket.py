"""The bucket, on each of the stores."""

import pytest
from minio.credentials.providers import StaticProvider

from lake.bucket import Bucket, connect
from lake.errors import ObjectChanged, StoreError, StoreUnavailable
from lake.results import read_result, remove_result, write_result
from tests.engines.stores import Store

KEY = "tests/bucket/object.json"


@pytest.fixture
def bucket(object_store: Store) -> Bucket:
    """The lake's bucket, without the object that the tests write."""
    store = object_store.store
    bucket = connect(store.endpoint, store.region, "lake", StaticProvider(*store.keys["spark"]))
    bucket.remove([KEY])
    return bucket


def content(bucket: Bucket) -> bytes | None:
    stored = bucket.read(KEY)
    return None if stored is None else stored.content


def test_an_object_is_read_as_written_until_it_is_removed(bucket: Bucket) -> None:
    assert bucket.read(KEY) is None
    bucket.write(KEY, b"{}")
    assert content(bucket) == b"{}"
    assert bucket.byte_counts("tests/bucket") == {KEY: 2}
    bucket.remove([KEY])
    assert bucket.read(KEY) is None


def test_of_two_first_writers_one_wins(bucket: Bucket) -> None:
    bucket.replace(KEY, b"1", None)
    with pytest.raises(ObjectChanged):
        bucket.replace(KEY, b"2", None)
    assert content(bucket) == b"1"


def test_an_object_that_was_replaced_since_it_was_read_is_not_overwritten(bucket: Bucket) -> None:
    bucket.write(KEY, b"1")
    read = bucket.read(KEY)
    bucket.replace(KEY, b"2", read)
    with pytest.raises(ObjectChanged):
        bucket.replace(KEY, b"3", read)
    assert content(bucket) == b"2"


def test_an_object_that_was_removed_since_it_was_read_is_not_written_again(bucket: Bucket) -> None:
    bucket.write(KEY, b"1")
    read = bucket.read(KEY)
    bucket.remove([KEY])
    with pytest.raises(ObjectChanged):
        bucket.replace(KEY, b"2", read)
    assert content(bucket) is None


def test_a_result_is_what_the_application_left(bucket: Bucket) -> None:
    remove_result(bucket, "job-of-tests")
    assert read_result(bucket, "job-of-tests") == {}
    write_result(bucket, "job-of-tests", {"etl": {"row_count": 3}})
    assert read_result(bucket, "job-of-tests") == {"etl": {"row_count": 3}}
    remove_result(bucket, "job-of-tests")


def test_a_key_that_the_store_does_not_know_is_an_error_of_the_request(object_store: Store) -> None:
    stranger = connect(object_store.store.endpoint, object_store.store.region, "lake", StaticProvider("spark", "wrong"))
    with pytest.raises(StoreError) as raised:
        stranger.read(KEY)
    assert not isinstance(raised.value, StoreUnavailable)


def test_a_store_that_does_not_answer_is_unavailable() -> None:
    nowhere = connect("http://127.0.0.1:1", "us-east-1", "lake", StaticProvider("spark", "key"), retries=0)
    with pytest.raises(StoreUnavailable):
        nowhere.read(KEY)
