"""MinIO: its program, which is built where there is none, and what a new store of its needs."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider

from stack import install
from stack.engines.object_store import User

# Upstream is archived and publishes no programs any more; this is its last commit.
MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
# A link, so that it is started by the same command wherever it lies.
PROGRAM = install.TOOLS / "bin" / "minio"
ROOT_USER = "hashiramart"


def install_program() -> None:
    """Lets `PROGRAM` be MinIO, the one on PATH or one that is built; at once when it is there already."""
    if PROGRAM.exists():
        return
    found = shutil.which("minio")
    # Outside the checkout, for it takes minutes and serves every checkout of this user.
    program = Path(found) if found else install.CACHE / f"minio-{VERSION}" / "minio"
    if not program.exists():
        install.refuse_full_disk(install.CACHE, 4_000_000_000)
        command = [install.go(), "install", "-trimpath", "-ldflags=-s -w", f"{MODULE}@{VERSION}"]
        install.run("build MinIO, which takes minutes", command, GOBIN=str(program.parent), CGO_ENABLED="0")
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    PROGRAM.unlink(missing_ok=True)
    PROGRAM.symlink_to(program)


def command(folder: Path, port: int, console_port: int) -> list[str]:
    """Serves a folder on this port of the loopback, and its console on the other, until who started it is gone."""
    addresses = [f"--address=127.0.0.1:{port}", f"--console-address=127.0.0.1:{console_port}"]
    return ["setpriv", "--pdeathsig=TERM", "--", str(PROGRAM), "server", str(folder), *addresses]


def environment(password: str) -> dict[str, str]:
    return {"MINIO_ROOT_USER": ROOT_USER, "MINIO_ROOT_PASSWORD": password, "MINIO_UPDATE": "off"}


def furnish(endpoint: str, password: str, buckets: Sequence[str], users: Mapping[User, str]) -> None:
    """Makes these buckets and users, each with this secret key. Those that are there already stay."""
    store = Minio(endpoint, ROOT_USER, password, secure=False)
    for bucket in buckets:
        if not store.bucket_exists(bucket):
            store.make_bucket(bucket)
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(ROOT_USER, password), secure=False)
    for user, secret_key in users.items():
        admin.user_add(user.name, secret_key)
        admin.policy_add(user.name, policy=policy(user))
        admin.policy_set(user.name, user=user.name)


def policy(user: User) -> dict[str, object]:
    reading = ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    writing = [*reading, "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    rights = [(writing, user.writes), *((reading, bucket) for bucket in user.reads)]
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
        for actions, bucket in rights
    ]
    return {"Version": "2012-10-17", "Statement": statements}
