"""A request is traced from REST to SQL."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.stack import Stack, own_stack, running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


class Collector(TraceServiceServicer):
    """A collector that stores the spans it receives."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        """Spans with the names of the services that sent them."""

    def Export(  # noqa: N802 the contract's name
        self, request: ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        for resource in request.resource_spans:
            names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            self.spans += [(names["service.name"], span) for scope in resource.scope_spans for span in scope.spans]
        return ExportTraceServiceResponse()

    def trace(self) -> list[tuple[str, Span]]:
        return [(service, span) for service, span in self.spans if span.trace_id.hex() == TRACE]


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, int]]:
    """A collector and its port."""
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]  # it was generated without types
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, port
    server.stop(None)


@pytest.fixture(scope="module")
def traced_stack(collector: tuple[Collector, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    _, port = collector
    stack = own_stack(Path(tmp_path_factory.mktemp("traced")), ("postgres", "catalog", "gateway"))
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running(replace(stack, environment={**stack.environment, **exporting})) as traced:
        yield traced


def test_gateway_service_and_statement_are_spans_of_the_callers_trace(traced_stack: Stack, collector: tuple[Collector, int]) -> None:
    collected, _ = collector
    response = httpx.get(f"{traced_stack.rest}/products/nothing", headers={"traceparent": f"00-{TRACE}-{CALLER}-01"}, timeout=20)
    assert response.status_code == 404
    deadline = time.monotonic() + 30
    while len(collected.trace()) < 3:
        assert time.monotonic() < deadline, collected.spans
        time.sleep(0.1)
    (rest,) = [span for service, span in collected.trace() if service == "gateway"]
    rpc, statement = sorted(
        (span for service, span in collected.trace() if service == "catalog"), key=lambda span: span.start_time_unix_nano
    )
    assert (rest.name, rest.parent_span_id.hex()) == ("GET /products/{id}", CALLER)
    assert (rpc.name, rpc.parent_span_id) == ("hashiramart.catalog.v1.CatalogService/GetProduct", rest.span_id)
    assert (statement.name, statement.parent_span_id) == ("SELECT", rpc.span_id)
    attributes = {attribute.key: attribute.value.string_value for attribute in statement.attributes}
    assert "products" in attributes["db.query.text"]
    assert "nothing" not in attributes["db.query.text"]
