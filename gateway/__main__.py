"""Serves the gateway."""

import sys
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from gateway.app import build
from gateway.contract import Contract, UnsupportedBinding
from gateway.exchange import AsgiApp
from gateway.settings import Settings
from mesh import telemetry
from mesh.settings import MeshSettings


def main() -> None:
    settings, mesh = Settings(), MeshSettings()
    try:
        contract = Contract(settings.descriptors.read_bytes())
    except UnsupportedBinding as error:
        sys.exit(f"the gateway cannot serve the contracts: {error}")
    host, _, port = settings.listen.rpartition(":")
    Granian(
        "gateway",
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.uvloop,
        # One more thread for HTTP costs a fifth less than a runtime within the loop's own.
        runtime_mode=RuntimeModes.mt,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEADER_BYTES, header_read_timeout=HEADER_SECONDS * 1000),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=int(mesh.grace_seconds),
        log_level=LogLevels.warning,
    ).serve(target_loader=partial(_worker, contract, settings, mesh), wrap_loader=False)


def _worker(contract: Contract, settings: Settings, mesh: MeshSettings) -> AsgiApp:
    telemetry.start("gateway", mesh)
    return build(contract, settings, mesh)


# What a request's line and headers may take together, and how long they may take.
MAX_HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 10

if __name__ == "__main__":
    main()
