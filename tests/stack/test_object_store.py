"""What every S3 store that we run on must do."""

import io
from datetime import timedelta

import httpx
import pytest
from minio import Minio
from minio.error import S3Error

from tests.engines.stores import Store

BUCKET = "lake"
# S3's least size of a part that is not the last.
PART_BYTES = 5 * 2**20


@pytest.fixture
def store(object_store: Store) -> Minio:
    return object_store.client("spark")


def put(store: Minio, name: str, content: bytes) -> None:
    store.put_object(BUCKET, name, io.BytesIO(content), len(content))


def get(store: Minio, name: str, offset: int = 0, length: int = 0) -> bytes:
    response = store.get_object(BUCKET, name, offset, length)
    try:
        return response.read()
    finally:
        response.close()
        response.release_conn()


def put_if(store: Minio, name: str, content: bytes, **condition: str) -> int:
    """The status of a write that is to be done under a condition only."""
    headers = {name.replace("_", "-"): value for name, value in condition.items()}
    return httpx.put(store.presigned_put_object(BUCKET, name), content=content, headers=headers).status_code


def refusal(error: pytest.ExceptionInfo[S3Error]) -> str | None:
    return error.value.code


def test_an_object_is_read_back_as_it_was_written(store: Minio) -> None:
    put(store, "things/one", b"first")
    put(store, "things/one", b"second")
    assert get(store, "things/one") == b"second"
    assert store.stat_object(BUCKET, "things/one").size == len(b"second")


def test_a_part_of_an_object_is_read_alone(store: Minio) -> None:
    put(store, "things/digits", b"0123456789")
    assert get(store, "things/digits", offset=3, length=4) == b"3456"


def test_objects_are_listed_in_order_below_a_prefix_or_folder_by_folder(store: Minio) -> None:
    for name in ("list/b/2", "list/a", "list/b/1", "listless"):
        put(store, name, b"")
    assert [entry.object_name for entry in store.list_objects(BUCKET, "list/", recursive=True)] == ["list/a", "list/b/1", "list/b/2"]
    assert sorted(str(entry.object_name) for entry in store.list_objects(BUCKET, "list/")) == ["list/a", "list/b/"]
    assert [entry.object_name for entry in store.list_objects(BUCKET, "list/", recursive=True, start_after="list/b/1")] == ["list/b/2"]


def test_a_large_object_is_written_in_parts(store: Minio) -> None:
    content = bytes(range(256)) * (PART_BYTES // 256) + b"the last part"
    result = store.put_object(BUCKET, "large", io.BytesIO(content), -1, part_size=PART_BYTES)
    assert str(result.etag).endswith("-2")
    assert get(store, "large") == content


def test_what_must_not_be_there_yet_is_written_once(store: Minio) -> None:
    assert put_if(store, "once", b"first", If_None_Match="*") == httpx.codes.OK
    assert put_if(store, "once", b"second", If_None_Match="*") == httpx.codes.PRECONDITION_FAILED
    assert get(store, "once") == b"first"


def test_what_changed_meanwhile_is_not_overwritten(store: Minio) -> None:
    put(store, "changing", b"first")
    seen = f'"{store.stat_object(BUCKET, "changing").etag}"'
    assert put_if(store, "changing", b"second", If_Match=seen) == httpx.codes.OK
    assert put_if(store, "changing", b"third", If_Match=seen) == httpx.codes.PRECONDITION_FAILED
    assert get(store, "changing") == b"second"


def test_an_object_that_is_removed_is_gone(store: Minio) -> None:
    put(store, "passing", b"")
    store.remove_object(BUCKET, "passing")
    with pytest.raises(S3Error) as error:
        get(store, "passing")
    assert refusal(error) == "NoSuchKey"
    # Removing what is not there is no error.
    store.remove_object(BUCKET, "passing")


def test_whoever_has_a_presigned_address_needs_no_key(store: Minio) -> None:
    assert httpx.put(store.presigned_put_object(BUCKET, "lent"), content=b"lent").status_code == httpx.codes.OK
    address = store.presigned_get_object(BUCKET, "lent", expires=timedelta(minutes=1))
    assert httpx.get(address).content == b"lent"
    assert httpx.get(address.replace("lent", "once")).status_code == httpx.codes.FORBIDDEN


def test_a_user_has_no_business_in_the_bucket_of_another(object_store: Store) -> None:
    stranger = object_store.client("mlflow")
    for attempt in (lambda: put(stranger, "theirs", b""), lambda: get(stranger, "theirs"), lambda: list(stranger.list_objects(BUCKET))):
        with pytest.raises(S3Error) as error:
            attempt()
        assert refusal(error) == "AccessDenied"


def test_a_reader_reads_and_does_not_write(object_store: Store, store: Minio) -> None:
    put(store, "shared", b"for all")
    reader = object_store.client("training")
    assert get(reader, "shared") == b"for all"
    with pytest.raises(S3Error) as error:
        put(reader, "shared", b"mine")
    assert refusal(error) == "AccessDenied"


def test_nothing_is_told_to_a_stranger(object_store: Store) -> None:
    assert httpx.get(f"{object_store.store.endpoint}/{BUCKET}").status_code == httpx.codes.FORBIDDEN


def test_what_is_stored_outlives_a_crash(object_store: Store, store: Minio) -> None:
    put(store, "kept", b"kept")
    object_store.kill()
    object_store.start()
    assert get(store, "kept") == b"kept"
