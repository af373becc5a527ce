"""The duration of requests by rule and status, recorded by every worker, summed for staff and exported to Prometheus."""

import os
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel

# The variable that tells the library's multiprocess mode where to keep its files.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_NAME = "gateway_request_seconds"
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class RequestTotals(BaseModel):
    """Requests that all workers of the gateway have answered since it started. Two readings make a rate."""

    request_count: int
    error_count: int
    """Those that ended with an HTTP status of 500 or above."""
    seconds: float
    """How long they took together."""


class RequestMetrics:
    """What one worker records."""

    def __init__(self) -> None:
        description = "Requests by their binding and HTTP status."
        self._seconds = Histogram(_NAME, description, ("rule", "status"), buckets=_BUCKETS, registry=None)
        self._children: dict[tuple[str, int], Histogram] = {}

    def record(self, rule: str, status: int, seconds: float) -> None:
        key = (rule, status)
        if key not in self._children:
            self._children[key] = self._seconds.labels(rule, str(status))
        self._children[key].observe(seconds)


def request_metrics() -> RequestMetrics | None:
    """This worker's metrics; None if its parent has no folder for them."""
    return RequestMetrics() if _FOLDER in os.environ else None


def share(folder: Path) -> None:
    """Makes the workers that start from now on record into a folder."""
    os.environ[_FOLDER] = str(folder)


def no_requests() -> RequestTotals:
    """The totals before the first request."""
    return RequestTotals(request_count=0, error_count=0, seconds=0)


def request_totals(names: Mapping[str, str]) -> dict[str, RequestTotals]:
    """The requests of all workers by name. names: those of the rules that are summed"""
    totals = {name: no_requests() for name in names.values()}
    if _FOLDER not in os.environ:
        return totals
    collector = MultiProcessCollector(CollectorRegistry(), os.environ[_FOLDER])  # type: ignore[no-untyped-call]
    for sample in (sample for metric in collector.collect() for sample in metric.samples):  # type: ignore[no-untyped-call]
        if (name := names.get(sample.labels["rule"])) is None:
            continue
        total = totals[name]
        if sample.name == f"{_NAME}_sum":
            total.seconds += sample.value
        elif sample.name == f"{_NAME}_count":
            total.request_count += int(sample.value)
            total.error_count += int(sample.value) * (int(sample.labels["status"]) >= 500)
    return totals


def export(listen: str, folder: Path) -> None:
    """Serves to Prometheus what all workers record into a folder."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    host, _, port = listen.rpartition(":")
    start_http_server(int(port), host, registry)
