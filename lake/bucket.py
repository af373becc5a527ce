"""A bucket of an S3 store: reads, writes and conditional writes of its objects."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, Provider
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from lake.errors import ObjectChanged, StoreError, StoreUnavailable

TIMEOUT_SECONDS = 30
RETRIES = 3
# How long the signature of a conditional write is valid.
SIGNATURE_LIFETIME = timedelta(minutes=5)
JSON_TYPE = "application/json"
# 404: the object to replace has been removed.
PRECONDITION_FAILED = (404, 409, 412)


@dataclass(frozen=True)
class StoredObject:
    """An object as it was read; the ETag identifies this version of it."""

    content: bytes
    etag: str


class Bucket:
    """A bucket of an S3 store. Every method that calls the store raises `StoreError`, and `StoreUnavailable` if it cannot be reached."""

    def __init__(self, name: str, client: Minio, http: urllib3.PoolManager, credentials: Provider) -> None:
        self.name = name
        self._client = client
        self._http = http
        self._credentials = credentials

    @property
    def secret_key(self) -> str:
        """The secret key in use, for redaction from logs."""
        return self._credentials.retrieve().secret_key

    def read(self, key: str) -> StoredObject | None:
        """The object, or None if there is none."""
        with _store_errors(key):
            try:
                response = self._client.get_object(self.name, key)
            except S3Error as error:
                if error.code == "NoSuchKey":
                    return None
                raise
            with response:
                return StoredObject(response.read(), response.headers["ETag"])

    def write(self, key: str, content: bytes) -> None:
        """Writes a JSON object, replacing what is there."""
        with _store_errors(key):
            self._client.put_object(self.name, key, io.BytesIO(content), len(content), content_type=JSON_TYPE)

    def replace(self, key: str, content: bytes, expected: StoredObject | None) -> None:
        """Writes a JSON object only if the stored one is still the expected version, or still missing if None is expected.

        A store without conditional writes ignores the condition. Raises `ObjectChanged`.
        """
        condition = {"If-None-Match": "*"} if expected is None else {"If-Match": expected.etag}
        with _store_errors(key):
            # The client has no conditional writes of its own.
            url = self._client.presigned_put_object(self.name, key, expires=SIGNATURE_LIFETIME)
            response = self._http.request("PUT", url, body=content, headers={"Content-Type": JSON_TYPE, **condition}, retries=False)
        if response.status in PRECONDITION_FAILED:
            raise ObjectChanged(f"{key} has been replaced or removed since it was read.")
        if response.status != 200:
            raise _error(response.status, f"The store answered {response.status} to a write of {key}.")

    def byte_counts(self, folder: str) -> dict[str, int]:
        """The size of each object below a folder, by key."""
        with _store_errors(folder):
            entries = self._client.list_objects(self.name, prefix=f"{folder}/", recursive=True)
            # Some stores list a folder as an object of its own.
            return {str(entry.object_name): entry.size or 0 for entry in entries if not entry.is_dir}

    def keys_before(self, folder: str, time: datetime) -> list[str]:
        """The keys of the objects below a folder that were written before a time."""
        with _store_errors(folder):
            entries = self._client.list_objects(self.name, prefix=f"{folder}/", recursive=True)
            return [str(entry.object_name) for entry in entries if entry.last_modified and entry.last_modified < time]

    def remove(self, keys: Iterable[str]) -> None:
        """Removes objects; a key without an object is no error."""
        with _store_errors(self.name):
            failures = list(self._client.remove_objects(self.name, [DeleteObject(key) for key in keys]))
        if failures:
            raise StoreUnavailable(f"The store did not remove {failures[0].name}: {failures[0].message}.")


def connect(
    store_url: str,
    region: str,
    name: str,
    credentials: Provider | None = None,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retries: int = RETRIES,
) -> Bucket:
    """A bucket of the store at an address; the first call connects.

    credentials: by default the keys in the environment, else those in the file that AWS_SHARED_CREDENTIALS_FILE names
    timeout_seconds: for connecting and for each read
    retries: after a failed connection or read
    """
    address = urlsplit(store_url)
    provider = credentials or ChainedProvider([EnvAWSProvider(), AWSConfigProvider()])
    http = urllib3.PoolManager(timeout=urllib3.Timeout(timeout_seconds), retries=urllib3.Retry(retries, backoff_factor=0.5))
    client = Minio(address.netloc, secure=address.scheme == "https", region=region, credentials=provider, http_client=http)
    return Bucket(name, client, http, provider)


@contextmanager
def _store_errors(subject: str) -> Iterator[None]:
    """Translates the client's errors into the lake's."""
    try:
        yield
    except S3Error as error:
        raise _error(error.response.status, f"The store reports an error for {subject}: {error.code}, {error.message}.") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"The store cannot be reached: {error}.") from error


def _error(status: int, message: str) -> StoreError:
    return StoreUnavailable(message) if status >= 500 else StoreError(message)
