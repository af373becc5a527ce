"""A worker process of the gateway. The parent imports this module and only the worker what it serves, so that the port opens the sooner."""

import multiprocessing
import os
import signal
import threading

from gateway.asgi import AsgiApp
from gateway.settings import Settings
from mesh.settings import MeshSettings


def start(settings: Settings, mesh: MeshSettings) -> AsgiApp:
    """The gateway, in a process that ends with its parent."""
    from gateway import app, contract
    from mesh import telemetry

    threading.Thread(target=_stop_with_parent, daemon=True).start()
    # The parent exports the metrics of all workers.
    telemetry.start("gateway", mesh.model_copy(update={"metrics_listen": ""}))
    return app.build(contract.Contract(settings.descriptors.read_bytes()), settings, mesh)


def _stop_with_parent() -> None:
    # A parent that is killed cannot stop its workers, which would keep the port from its successor.
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
