"""The duration of requests by rule and status, recorded by every worker and exported by their parent."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

# The variable that tells the library's multiprocess mode where to keep its files.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class RequestMetrics:
    """What one worker records."""

    def __init__(self) -> None:
        description = "Requests by their binding and HTTP status."
        self._seconds = Histogram("gateway_request_seconds", description, ("rule", "status"), buckets=_BUCKETS, registry=None)
        self._children: dict[tuple[str, int], Histogram] = {}

    def record(self, rule: str, status: int, seconds: float) -> None:
        key = (rule, status)
        if key not in self._children:
            self._children[key] = self._seconds.labels(rule, str(status))
        self._children[key].observe(seconds)


def request_metrics() -> RequestMetrics | None:
    """This worker's metrics; None if they are not exported, so that they cost nothing."""
    return RequestMetrics() if _FOLDER in os.environ else None


def share(folder: Path) -> None:
    """Makes the workers that start from now on record into a folder."""
    os.environ[_FOLDER] = str(folder)


def export(listen: str, folder: Path) -> None:
    """Serves to Prometheus what all workers record into a folder."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    host, _, port = listen.rpartition(":")
    start_http_server(int(port), host, registry)
