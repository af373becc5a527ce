"""MinIO: its program, which is built if it is not installed, its command, and its buckets and users."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from urllib3 import PoolManager, Retry

from stack import install
from stack.engines.object_store import StoreUser

# The upstream repository is archived and publishes no binaries any more; this is its last commit.
MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
# A link, so that the command stays the same wherever MinIO is installed.
PROGRAM = install.TOOLS / "bin" / "minio"
ROOT_USER = "hashiramart"


def install_program() -> None:
    """Makes `PROGRAM` a link to MinIO, to the one on PATH or else to one that is built, unless it is there."""
    if PROGRAM.exists():
        return
    found = shutil.which("minio")
    # Built outside the checkout, as it takes minutes and is the same for every checkout.
    program = Path(found) if found else install.CACHE / f"minio-{VERSION}" / "minio"
    if not program.exists():
        install.check_disk_space(install.CACHE, 4_000_000_000)
        command = [install.go(), "install", "-trimpath", "-ldflags=-s -w", f"{MODULE}@{VERSION}"]
        install.run("build MinIO, which takes minutes", command, GOBIN=str(program.parent), CGO_ENABLED="0")
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    PROGRAM.unlink(missing_ok=True)
    PROGRAM.symlink_to(program)


def command(folder: Path, port: int, console_port: int) -> list[str]:
    """The command that serves a folder on `port` of the loopback until SIGTERM or the end of its parent process."""
    addresses = [f"--address=127.0.0.1:{port}", f"--console-address=127.0.0.1:{console_port}"]
    return ["setpriv", "--pdeathsig=TERM", "--", str(PROGRAM), "server", str(folder), *addresses]


def environment(password: str) -> dict[str, str]:
    return {"MINIO_ROOT_USER": ROOT_USER, "MINIO_ROOT_PASSWORD": password, "MINIO_UPDATE": "off"}


def create_buckets_and_users(endpoint: str, password: str, buckets: Sequence[str], users: Mapping[StoreUser, str]) -> None:
    """Creates the buckets and users that are missing, and sets the users' permissions.

    users: secret keys by user
    """
    # MinIO says "ready" a moment before it serves, and until then "try again in a minute", which its client would obey.
    retries = Retry(60, backoff_factor=0.1, backoff_max=0.5, status_forcelist=[503], respect_retry_after_header=False)
    http_client = PoolManager(timeout=10, retries=retries)
    store = Minio(endpoint, ROOT_USER, password, secure=False, http_client=http_client)
    for bucket in buckets:
        if not store.bucket_exists(bucket):
            store.make_bucket(bucket)
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(ROOT_USER, password), secure=False, http_client=http_client)
    for user, secret_key in users.items():
        admin.user_add(user.name, secret_key)
        admin.policy_add(user.name, policy=_policy(user))
        admin.policy_set(user.name, user=user.name)


def _policy(user: StoreUser) -> dict[str, object]:
    reading = ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    writing = [*reading, "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    rights = [(writing, user.writes), *((reading, bucket) for bucket in user.reads)]
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
        for actions, bucket in rights
    ]
    return {"Version": "2012-10-17", "Statement": statements}
