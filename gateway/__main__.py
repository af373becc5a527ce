"""Serves the gateway."""

import multiprocessing
import resource
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from gateway import metrics, worker
from gateway.contract import Contract, UnsupportedBinding
from gateway.settings import Settings
from mesh.settings import MeshSettings, read

# The largest request line and headers together.
MAX_HEADER_BYTES = 64 * 1024
# The descriptors of a worker besides its connections.
_OTHER_DESCRIPTORS = 256


def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    try:
        Contract(settings.descriptors.read_bytes())
    except UnsupportedBinding as error:
        sys.exit(f"the gateway cannot serve the contracts: {error}")
    # Neither gRPC nor threads survive a fork.
    multiprocessing.set_start_method("spawn")
    with TemporaryDirectory(prefix="gateway-metrics-") as folder:
        metrics.share(Path(folder))
        if mesh.metrics_listen:
            metrics.export(mesh.metrics_listen, Path(folder))
        _serve(settings, mesh)


def _allow_connections(count: int) -> None:
    """Raises the limit of open files, which workers inherit, as far as this process may."""
    limit, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + _OTHER_DESCRIPTORS
    if maximum != resource.RLIM_INFINITY and needed > maximum:
        sys.exit(f"GATEWAY_MAX_CONNECTIONS is {count}, which takes {needed} open files, and the system allows {maximum} (ulimit -Hn)")
    if limit != resource.RLIM_INFINITY and needed > limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, maximum))


def _serve(settings: Settings, mesh: MeshSettings) -> None:
    host, _, port = settings.listen.rpartition(":")
    _allow_connections(settings.max_connections)
    Granian(
        "gateway",
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.uvloop,
        # A thread of its own for HTTP takes a fifth less CPU than HTTP on the event loop's thread.
        runtime_mode=RuntimeModes.mt,
        http=HTTPModes.http1,
        backpressure=settings.max_connections,
        # The server has one deadline for the next request to begin and for its headers to be complete (hyperium/hyper#3828).
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEADER_BYTES, header_read_timeout=round(settings.keep_alive_seconds * 1000)),
        websockets=False,
        ssl_cert=settings.tls_certificate,
        ssl_key=settings.tls_key,
        respawn_failed_workers=True,
        workers_kill_timeout=int(mesh.grace_seconds),
        log_level=LogLevels.warning,
    ).serve(target_loader=partial(worker.start, settings, mesh), wrap_loader=False)


if __name__ == "__main__":
    main()
