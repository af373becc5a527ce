"""The lake: the bucket of clean data, and how a run's work is published there."""

import io
import json
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from lake.errors import Overtaken
from lake.manifest import DataFile, Dataset, Manifest
from lake.schemas import TABLES

MANIFEST, DATASET = "clean/_MANIFEST.json", "clean/_DATASET.json"
# Those that were published before, by the id of their run. Runs are numbered by time, so the last of them come last.
MANIFESTS = "clean/_manifests"
MANIFESTS_KEPT = 10
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Stored:
    """An object as it was read, and the store's mark for this state of it."""

    content: bytes
    etag: str


class Lake:
    """A bucket of an S3 store. What was read as published is what a later publishing replaces, or else fails."""

    def __init__(self, client: Minio, http: urllib3.PoolManager, bucket: str) -> None:
        self._client = client
        self._http = http
        self._bucket = bucket
        self._published: Stored | None = None

    def path(self, key: str) -> str:
        """The address of a key for Spark."""
        return f"s3a://{self._bucket}/{key}"

    def published(self) -> Manifest | None:
        """The manifest of the data as it stands; none before the first run."""
        self._published = self._read(MANIFEST)
        return None if self._published is None else Manifest.model_validate_json(self._published.content)

    def files(self, prefix: str) -> list[DataFile]:
        """The files below a folder."""
        listed = self._client.list_objects(self._bucket, prefix=f"{prefix}/", recursive=True)
        # Some stores list a folder as an object of its own.
        return [DataFile(key=str(entry.object_name), byte_count=entry.size or 0) for entry in listed if not entry.is_dir]

    def publish(self, manifest: Manifest) -> None:
        """Makes this the data. Before it, readers see what was published before; after it, this; nothing between.

        What no manifest of the last ten names is then removed, work in progress of other runs included: they would be refused here.
        """
        if self._published is not None:
            before = Manifest.model_validate_json(self._published.content)
            self._write(f"{MANIFESTS}/{before.run_id}.json", self._published.content)
        self._replace(MANIFEST, manifest.model_dump_json(indent=1).encode(), self._published)
        self.describe(manifest.dataset())
        self._sweep(manifest)

    def describe(self, dataset: Dataset) -> None:
        """Lets `_DATASET.json` say what the published data is, if it does not yet."""
        text = dataset.model_dump_json(indent=1).encode()
        stored = self._read(DATASET)
        if stored is None or stored.content != text:
            self._write(DATASET, text)

    def report(self, job_id: str, result: dict[str, object]) -> None:
        """Leaves what came of a job where whoever submitted it looks."""
        self._write(f"jobs/{job_id}/result.json", json.dumps(result, indent=1).encode())

    def remove(self, prefix: str) -> None:
        """Removes the files below a folder."""
        self._remove([file.key for file in self.files(prefix)])

    def _sweep(self, manifest: Manifest) -> None:
        kept = sorted(file.key for file in self.files(MANIFESTS))
        expired, recent = kept[: 1 - MANIFESTS_KEPT], kept[1 - MANIFESTS_KEPT :]
        named = manifest.keys()
        for key in recent:
            if stored := self._read(key):
                named |= Manifest.model_validate_json(stored.content).keys()
        folders = {table.folder for table in TABLES.values()}
        data = [file.key for folder in folders for file in self.files(folder)]
        self._remove([*expired, *(key for key in data if key not in named)])

    def _read(self, key: str) -> "Stored | None":
        try:
            response = self._client.get_object(self._bucket, key)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            raise
        try:
            return Stored(response.read(), response.headers["ETag"])
        finally:
            response.close()
            response.release_conn()

    def _write(self, key: str, content: bytes) -> None:
        self._client.put_object(self._bucket, key, io.BytesIO(content), len(content), content_type="application/json")

    def _replace(self, key: str, content: bytes, before: "Stored | None") -> None:
        """Writes if the object is still what it was; a store that knows no such conditions just writes."""
        condition = {"If-None-Match": "*"} if before is None else {"If-Match": before.etag}
        url = self._client.presigned_put_object(self._bucket, key, expires=timedelta(minutes=5))
        headers = {"Content-Type": "application/json", **condition}
        response = self._http.request("PUT", url, body=content, headers=headers, retries=False)
        # 404: the object that was to be replaced has gone.
        if response.status in (404, 409, 412):
            raise Overtaken
        if response.status != 200:
            raise OSError(f"the store answered {response.status} to a write of {key}")

    def _remove(self, keys: list[str]) -> None:
        for failure in self._client.remove_objects(self._bucket, [DeleteObject(key) for key in keys]):
            raise OSError(f"the store did not remove {failure.name}: {failure.message}")


def connect(store_url: str, region: str, bucket: str) -> Lake:
    """The lake in a bucket; keys come from the environment, else from the file that AWS_SHARED_CREDENTIALS_FILE names."""
    address = urlsplit(store_url)
    http = urllib3.PoolManager(timeout=urllib3.Timeout(TIMEOUT_SECONDS), retries=urllib3.Retry(3, backoff_factor=0.5))
    client = Minio(
        address.netloc,
        secure=address.scheme == "https",
        region=region,
        credentials=ChainedProvider([EnvAWSProvider(), AWSConfigProvider()]),
        http_client=http,
    )
    return Lake(client, http, bucket)
