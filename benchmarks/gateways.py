"""Benchmark of the gateway against a Go grpc-gateway, both in front of an in-memory backend."""

import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Contender, Load, Sample, get
from benchmarks.servers import serving
from tests.engines.ports import free_port

PATHS = {"one product": ("one", "/products/85001A"), "50 products": ("fifty", "/products?page_size=50")}


def compare(programs: Path, core: int, other_core: int) -> dict[str, dict[str, list[Sample]]]:
    """The samples of both gateways, and of the layers below HashiraMart's, by kind of request. Each runs alone on `core`."""
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
        for name, (kind, path) in PATHS.items():
            if get(theirs, path) != get(ours, path):
                raise RuntimeError(f"the gateways return different responses to GET {path}")
            samples[name] = load.compare(
                {
                    "Go grpc-gateway": Contender(theirs, [path], {"gateway": go_pid}),
                    "HashiraMart": Contender(ours, [path], {"gateway": our_pid}),
                    "the HTTP server alone": Contender(floors, [f"/server/{kind}"], {"floor": floor_pid}),
                    "HTTP server and gRPC call": Contender(floors, [f"/call/{kind}"], {"floor": floor_pid}),
                }
            )
    return samples
