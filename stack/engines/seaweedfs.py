"""SeaweedFS from its wheel: who may use it, and the command that serves a folder as an S3 store."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from minio import Minio
from minio.error import S3Error

from stack import files
from stack.engines.object_store import User
from stack.processes.probes import http_answers

# How many ports it takes, the S3 store's first.
PORTS = 10


def initialise(folder: Path, users: Mapping[User, str]) -> None:
    """Makes the folder, and tells who may do what in the store, each with this secret key."""
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
    files.replace(identities_file(folder), json.dumps({"identities": identities}, indent=2))


def command(folder: Path, port: int, buckets: Sequence[str]) -> list[str]:
    """Serves a folder on this port of the loopback until who started it is gone. Buckets that are missing are made."""
    # It is several servers in one process, and each has a port for HTTP and one for gRPC.
    servers = ["s3", "filer", "volume", "master", "admin"]
    ports = [
        option
        for place, server in enumerate(servers)
        for option in (f"-{server}.port={port + 2 * place}", f"-{server}.port.grpc={port + 2 * place + 1}")
    ]
    unwanted = ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    weed = str(Path(sys.executable).with_name("weed"))
    options = [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={identities_file(folder)}"]
    return [
        *("setpriv", "--pdeathsig=TERM", "--", weed, "-logtostderr", "mini"),
        *(*options, f"-bucket={','.join(buckets)}", *ports, *unwanted),
    ]


def ready(port: int, users: Mapping[User, str]) -> bool:
    """Whether the store on this port serves these users, each by their secret key."""
    if not http_answers(port, "/healthz"):
        return False
    # It answers before it has made the buckets, and refuses them until then.
    clients = {user.writes: Minio(f"127.0.0.1:{port}", user.name, key, secure=False, region="us-east-1") for user, key in users.items()}
    try:
        return all(client.bucket_exists(bucket) for bucket, client in clients.items())
    except S3Error:
        return False


def identities_file(folder: Path) -> Path:
    return folder / "identities.json"
