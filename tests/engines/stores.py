"""S3 stores for tests, with the buckets and users of the stack."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from minio import Minio as Client
from minio.deleteobjects import DeleteObject

from stack.engines import minio, object_store, seaweedfs
from stack.engines.object_store import ObjectStore
from stack.processes.probes import http_answers
from stack.settings import Settings
from tests.engines.engine import Engine
from tests.engines.ports import own_settings


class Store(Engine):
    """An S3 store with the users and permissions of the stack."""

    store: ObjectStore
    writers: Mapping[str, str]
    """Each bucket's user that may write it."""

    def client(self, user: str) -> Client:
        """A client with the key of this user."""
        access_key, secret_key = self.store.keys[user]
        return Client(self.store.endpoint.removeprefix("http://"), access_key, secret_key, secure=False, region=self.store.region)

    def empty(self) -> None:
        """Deletes all objects in all buckets."""
        for bucket, user in self.writers.items():
            client = self.client(user)
            keys = (DeleteObject(str(found.object_name)) for found in client.list_objects(bucket, recursive=True))
            errors = list(client.remove_objects(bucket, keys))
            assert not errors, errors


class Minio(Store):
    """MinIO."""

    def __init__(self, folder: Path) -> None:
        if not minio.PROGRAM.exists():
            raise FileNotFoundError("MinIO is not installed; `make test` does it")
        settings = own_settings(folder)
        self._port, self._password = settings.minio_port, secrets.token_urlsafe()
        self.writers, self._buckets = _writers(settings), object_store.buckets(settings)
        self._keys = {user: secrets.token_urlsafe() for user in object_store.users(settings)}
        self.store = _object_store(self._port, self._keys)
        command = minio.command(folder / "data", self._port, settings.minio_console_port)
        super().__init__(folder, command, lambda: http_answers(self._port, "/minio/health/ready"), minio.environment(self._password))

    def start(self) -> None:
        super().start()
        minio.create_buckets_and_users(f"127.0.0.1:{self._port}", self._password, self._buckets, self._keys)


class SeaweedFS(Store):
    """SeaweedFS."""

    def __init__(self, folder: Path) -> None:
        settings = own_settings(folder)
        port, buckets = settings.seaweedfs_port, object_store.buckets(settings)
        self.writers = _writers(settings)
        keys = {user: secrets.token_urlsafe() for user in object_store.users(settings)}
        self.store = _object_store(port, keys)
        seaweedfs.initialise(folder / "data", keys)
        command = seaweedfs.command(folder / "data", port, buckets)
        super().__init__(folder, command, lambda: seaweedfs.ready(port, keys), seaweedfs.environment())


def _writers(settings: Settings) -> dict[str, str]:
    return {user.writes: user.name for user in object_store.users(settings)}


def _object_store(port: int, keys: dict[object_store.StoreUser, str]) -> ObjectStore:
    return ObjectStore(f"http://127.0.0.1:{port}", "us-east-1", {user.name: (user.name, key) for user, key in keys.items()})
