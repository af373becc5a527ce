"""How many requests were answered, how, and how fast: counted by every worker, told by the process that started them."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector


class Metrics:
    """What one worker counts, for others to read."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            "gateway_request_seconds",
            "Requests by their binding and HTTP status.",
            ("rule", "status"),
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=None,
        )
        self._known: dict[tuple[str, int], Histogram] = {}

    def answered(self, rule: str, status: int, seconds: float) -> None:
        key = (rule, status)
        if key not in self._known:
            self._known[key] = self._seconds.labels(rule, str(status))
        self._known[key].observe(seconds)


def metrics() -> Metrics | None:
    """What this worker counts in, or None if nobody can read it: then counting costs no time."""
    return Metrics() if _FOLDER in os.environ else None


def share(folder: Path) -> None:
    """Has the workers that start from now on keep what they count in a folder."""
    os.environ[_FOLDER] = str(folder)


def serve(listen: str, folder: Path) -> None:
    """Tells Prometheus what all workers counted."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    host, _, port = listen.rpartition(":")
    start_http_server(int(port), host, registry)


# The library's own way to tell workers where.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
