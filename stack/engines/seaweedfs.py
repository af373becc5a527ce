"""SeaweedFS from a wheel: its users and its command."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from minio import Minio
from minio.error import S3Error

from stack import files
from stack.engines.object_store import StoreUser
from stack.processes.probes import http_answers

# The number of consecutive ports it uses, of which the first is the S3 API's.
PORTS = 10


def initialise(folder: Path, users: Mapping[StoreUser, str]) -> None:
    """Creates the data folder, and writes the users and their permissions to a file in it.

    users: secret keys by user
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    identities = [
        {
            "name": user.name,
            "credentials": [{"accessKey": user.name, "secretKey": secret_key}],
            "actions": [
                *(f"{action}:{user.writes}" for action in ("Read", "Write", "List", "Tagging")),
                *(f"{action}:{bucket}" for bucket in user.reads for action in ("Read", "List")),
            ],
        }
        for user, secret_key in users.items()
    ]
    files.replace(_identities_file(folder), json.dumps({"identities": identities}, indent=2))


def command(folder: Path, port: int, buckets: Sequence[str]) -> list[str]:
    """The command that serves a folder from `port` of the loopback until SIGTERM or the end of its parent process.

    It creates buckets that are missing.
    """
    # SeaweedFS is several servers in one process, each with a port for HTTP and one for gRPC.
    servers = ["s3", "filer", "volume", "master", "admin"]
    ports = [
        option
        for place, server in enumerate(servers)
        for option in (f"-{server}.port={port + 2 * place}", f"-{server}.port.grpc={port + 2 * place + 1}")
    ]
    unwanted = ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    weed = str(Path(sys.executable).with_name("weed"))
    options = [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={_identities_file(folder)}"]
    return [
        *("setpriv", "--pdeathsig=TERM", "--", weed, "-logtostderr", "mini"),
        *(*options, f"-bucket={','.join(buckets)}", *ports, *unwanted),
    ]


def environment() -> dict[str, str]:
    """The environment that keeps it from making an administrator of the key in the variables it inherits."""
    return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


def ready(port: int, users: Mapping[StoreUser, str]) -> bool:
    """Whether the store on this port serves these users and their buckets.

    users: secret keys by user
    """
    if not http_answers(port, "/healthz"):
        return False
    # It answers requests before it has created the buckets.
    clients = {user.writes: Minio(f"127.0.0.1:{port}", user.name, key, secure=False, region="us-east-1") for user, key in users.items()}
    try:
        return all(client.bucket_exists(bucket) for bucket, client in clients.items())
    except S3Error:
        return False


def _identities_file(folder: Path) -> Path:
    return folder / "identities.json"
