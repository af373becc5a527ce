"""A real S3 store for the tests: SeaweedFS on ports and in a folder of its own."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import urllib3

# Each of its servers also listens for gRPC, by this much higher.
GRPC_OFFSET = 10_000


@contextmanager
def seaweedfs(folder: Path, keys: Mapping[str, str]) -> Iterator[str]:
    """The URL of a store that takes these keys; it ends with the `with` block."""
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [str(Path(sys.executable).with_name("weed")), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-bucket=lake", "-admin.ui=false"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false"]
    # A bucket takes a volume of its own, of which there are as many as the free disk holds: a hundredth of the disk each, unless told.
    command += ["-master.volumeSizeLimitMB=16"]
    folder.mkdir(parents=True)
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | keys)
    url = f"http://127.0.0.1:{ports['s3']}"
    try:
        wait_ready(process, f"{url}/healthz", folder / "weed.log")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Returns when the store answers; fails with its log when it ends before, or takes too long."""
    http = urllib3.PoolManager(retries=False, timeout=2)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if http.request("GET", url).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace"))


def free_port() -> int:
    """A port of the loopback that nothing listens on, and neither on the one beside it for gRPC."""
    while True:
        port = random.randint(20_000, 30_000)  # noqa: S311
        if all(is_free(number) for number in (port, port + GRPC_OFFSET)):
            return port


def is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
