"""Our gateway against a Go grpc-gateway, before one backend that costs next to nothing."""

import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Contender, Load, Sample, answer
from benchmarks.servers import serving
from tests.engines.ports import free_port

PATHS = {"one product": ("one", "/products/85001A"), "50 products": ("fifty", "/products?page_size=50")}


def compare(programs: Path, core: int, other_core: int) -> dict[str, dict[str, list[Sample]]]:
    """The samples for each kind of request, of both gateways and of what is below ours. Each gateway has `core` to itself."""
    load = Load(programs / "load", other_core)
    ours, theirs, floors, backend = (f"127.0.0.1:{free_port()}" for _ in range(4))
    python = sys.executable
    settings = {"GATEWAY_LISTEN": ours, "GATEWAY_CATALOG_ADDRESS": backend, "GATEWAY_WORKERS": "1"}
    with ExitStack() as running:
        running.enter_context(serving([str(programs / "backend"), f"-listen={backend}"], backend, core=other_core))
        go = [str(programs / "gateway"), f"-listen={theirs}", f"-backend={backend}"]
        go_pid = running.enter_context(serving(go, theirs, core=core))
        our_pid = running.enter_context(serving([python, "-m", "gateway"], ours, settings, core))
        floor_pid = running.enter_context(serving([python, "-m", "benchmarks.floors", floors, backend], floors, core=core))
        samples: dict[str, dict[str, list[Sample]]] = {}
        for name, (what, path) in PATHS.items():
            if answer(theirs, path) != answer(ours, path):
                raise RuntimeError(f"the gateways do not answer the same to GET {path}")
            samples[name] = load.compare(
                {
                    "Go grpc-gateway": Contender(theirs, [path], {"gateway": go_pid}),
                    "HashiraMart": Contender(ours, [path], {"gateway": our_pid}),
                    "the HTTP server alone": Contender(floors, [f"/server/{what}"], {"floor": floor_pid}),
                    "HTTP server and gRPC call": Contender(floors, [f"/call/{what}"], {"floor": floor_pid}),
                }
            )
    return samples
