"""How long others wait for the gateway while strangers hold connections: `python -m benchmarks.strangers`."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks import programs
from benchmarks.measure import Contender, Load, Sample
from benchmarks.servers import serving
from tests.engines.ports import free_port
from tests.gateway.dribblers import HEADERS, dribbling

TITLE = "Others' requests at {} per second, meanwhile {} connections that send a byte every 3 seconds"
PER_SECOND, SECONDS = 100, 15
CONNECTIONS = 1000
# Of a path without a token, whose body a client may take its time with.
_BODY = b"POST /products:batchGet HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{"
_BYTE_SECONDS = 3
_ADDRESSES = [f"127.0.{number // 250 + 1}.{number % 250 + 1}" for number in range(CONNECTIONS)]
KINDS = {
    "none": ([], b""),
    "headers, one address": (["127.0.1.1"] * CONNECTIONS, HEADERS),
    "headers, 1,000 addresses": (_ADDRESSES, HEADERS),
    "bodies, one address": (["127.0.1.1"] * CONNECTIONS, _BODY),
    "bodies, 1,000 addresses": (_ADDRESSES, _BODY),
}


def compare(built: Path, core: int, other_core: int) -> dict[str, Sample]:
    """The samples of a gateway on `core`, with no more connections than strangers have, by what they send."""
    load = Load(built / "load", other_core)
    listen, backend = (f"127.0.0.1:{free_port()}" for _ in range(2))
    settings = {"GATEWAY_LISTEN": listen, "GATEWAY_CATALOG_ADDRESS": backend, "GATEWAY_WORKERS": "1"}
    settings |= {"GATEWAY_MAX_CONNECTIONS": str(CONNECTIONS)}
    samples = {}
    with ExitStack() as running:
        running.enter_context(serving([str(built / "backend"), f"-listen={backend}"], backend, core=other_core))
        pid = running.enter_context(serving([sys.executable, "-m", "gateway"], listen, settings, core))
        for kind, (addresses, first) in KINDS.items():
            with dribbling(f"http://{listen}", addresses, first, _BYTE_SECONDS):
                samples[kind] = load.steady(Contender(listen, ["/products/85001A"], {"gateway": pid}), PER_SECOND, SECONDS)
    return samples


def show(samples: dict[str, Sample]) -> None:
    print(f"\n{TITLE.format(PER_SECOND, CONNECTIONS)}\n")
    for kind, sample in samples.items():
        print(f"{kind:28}{sample.per_second:6.0f} per second, p50 {sample.p50_ms:.1f} ms, p99 {sample.p99_ms:.1f} ms", flush=True)


if __name__ == "__main__":
    first, second = sorted(os.sched_getaffinity(0))[:2]
    show(compare(programs.build(), first, second))
