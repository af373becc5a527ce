"""The S3 features that every supported store must have."""

import io
from datetime import timedelta

import httpx
import pytest
from minio import Minio
from minio.error import S3Error

from tests.engines.stores import Store

BUCKET = "lake"
# The smallest size that S3 allows for a part that is not the last.
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
    """The status of a conditional write."""
    headers = {name.replace("_", "-"): value for name, value in condition.items()}
    return httpx.put(store.presigned_put_object(BUCKET, name), content=content, headers=headers).status_code


def error_code(error: pytest.ExceptionInfo[S3Error]) -> str | None:
    return error.value.code


def test_an_object_is_read_back_as_written(store: Minio) -> None:
    put(store, "things/one", b"first")
    put(store, "things/one", b"second")
    assert get(store, "things/one") == b"second"
    assert store.stat_object(BUCKET, "things/one").size == len(b"second")


def test_a_range_of_an_object_is_read(store: Minio) -> None:
    put(store, "things/digits", b"0123456789")
    assert get(store, "things/digits", offset=3, length=4) == b"3456"


def test_objects_are_listed_in_order_by_prefix_or_by_folder(store: Minio) -> None:
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


def test_a_write_that_requires_absence_succeeds_once(store: Minio) -> None:
    assert put_if(store, "once", b"first", If_None_Match="*") == httpx.codes.OK
    assert put_if(store, "once", b"second", If_None_Match="*") == httpx.codes.PRECONDITION_FAILED
    assert get(store, "once") == b"first"


def test_a_write_that_requires_an_etag_fails_after_a_change(store: Minio) -> None:
    put(store, "changing", b"first")
    seen = f'"{store.stat_object(BUCKET, "changing").etag}"'
    assert put_if(store, "changing", b"second", If_Match=seen) == httpx.codes.OK
    assert put_if(store, "changing", b"third", If_Match=seen) == httpx.codes.PRECONDITION_FAILED
    assert get(store, "changing") == b"second"


def test_a_removed_object_is_not_found(store: Minio) -> None:
    put(store, "passing", b"")
    store.remove_object(BUCKET, "passing")
    with pytest.raises(S3Error) as error:
        get(store, "passing")
    assert error_code(error) == "NoSuchKey"
    # Removing an object that does not exist is no error.
    store.remove_object(BUCKET, "passing")


def test_a_presigned_url_needs_no_key(store: Minio) -> None:
    assert httpx.put(store.presigned_put_object(BUCKET, "lent"), content=b"lent").status_code == httpx.codes.OK
    address = store.presigned_get_object(BUCKET, "lent", expires=timedelta(minutes=1))
    assert httpx.get(address).content == b"lent"
    assert httpx.get(address.replace("lent", "once")).status_code == httpx.codes.FORBIDDEN


def test_a_user_has_no_access_to_the_bucket_of_another(object_store: Store) -> None:
    other = object_store.client("mlflow")
    for attempt in (lambda: put(other, "theirs", b""), lambda: get(other, "theirs"), lambda: list(other.list_objects(BUCKET))):
        with pytest.raises(S3Error) as error:
            attempt()
        assert error_code(error) == "AccessDenied"


def test_a_reader_cannot_write(object_store: Store, store: Minio) -> None:
    put(store, "shared", b"for all")
    reader = object_store.client("training")
    assert get(reader, "shared") == b"for all"
    with pytest.raises(S3Error) as error:
        put(reader, "shared", b"mine")
    assert error_code(error) == "AccessDenied"


def test_anonymous_requests_are_forbidden(object_store: Store) -> None:
    assert httpx.get(f"{object_store.store.endpoint}/{BUCKET}").status_code == httpx.codes.FORBIDDEN


def test_a_key_in_the_environment_of_the_store_is_no_key_of_its_users(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "passer-by")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret of some other store")
    with object_store.stopped():
        pass
    endpoint = object_store.store.endpoint.removeprefix("http://")
    store = Minio(endpoint, "passer-by", "a secret of some other store", secure=False, region=object_store.store.region)
    with pytest.raises(S3Error) as error:
        put(store, "theirs", b"")
    assert error_code(error) == "InvalidAccessKeyId"


def test_objects_survive_a_crash(object_store: Store, store: Minio) -> None:
    put(store, "kept", b"kept")
    object_store.kill()
    object_store.start()
    assert get(store, "kept") == b"kept"
