"""Logs without secrets, metrics and traces of a process."""

import asyncio
import contextvars
import json
import logging
import os
import subprocess
import sys
import time

import grpc.aio
import httpx
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from hashiramart.catalog.v1 import catalog_pb2
from mesh import telemetry
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.engines.ports import free_port
from tests.engines.postgres import Postgres
from tests.mesh.shop import CATALOG, connect_stub, new_shop, serve_shop

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Lines:
    """The lines that are logged from now on."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        telemetry.start("shop", MeshSettings())
        self._capfd = capfd

    def read(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._capfd.readouterr().out.splitlines()]


def test_a_line_has_its_time_service_and_request_id(capfd: pytest.CaptureFixture[str]) -> None:
    lines = Lines(capfd)
    telemetry.enter(telemetry.origin_of({"x-request-id": "request-1", "traceparent": TRACEPARENT}, None))
    structlog.get_logger("services.shop").info("sold", product_id="mug")
    (line,) = lines.read()
    assert line.pop("timestamp")
    assert line == {
        "event": "sold",
        "product_id": "mug",
        "level": "info",
        "logger": "services.shop",
        "service": "shop",
        "request_id": "request-1",
        "trace_id": TRACE,
    }


def test_libraries_log_in_the_same_form(capfd: pytest.CaptureFixture[str]) -> None:
    lines = Lines(capfd)
    # Not asyncio's: a process that has imported DVC hears nothing of it.
    logging.getLogger("sqlalchemy.pool").warning("slow: %s", "checkout")
    (line,) = lines.read()
    assert (line["event"], line["logger"], line["level"]) == ("slow: checkout", "sqlalchemy.pool", "warning")


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("eyJhbGciOi.eyJzdWIiOi.c2ln", "could not read eyJhbGciOi.eyJzdWIiOi.c2ln here"),
        ("s3cr3t-t0ken", "authorization: Bearer s3cr3t-t0ken"),
        ("YW5uOnB3", "header Basic YW5uOnB3"),
        ("hunter2", "postgresql://ann:hunter2@127.0.0.1/shop"),
        ("ann@example.com", "duplicate key (email)=(ann@example.com)"),
    ],
)
def test_what_looks_like_a_secret_is_redacted_anywhere_in_a_line(capfd: pytest.CaptureFixture[str], secret: str, text: str) -> None:
    lines = Lines(capfd)
    log = structlog.get_logger("shop")
    log.info(text)
    log.info("read", text=text, nested={"texts": [text]}, error=ValueError(text))
    logging.getLogger("library").warning("read %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("failed")
    written = lines.read()
    assert len(written) == 4
    assert secret not in json.dumps(written)


@pytest.mark.parametrize("field", ["password", "token", "refresh_token", "client_secret", "authorization", "email"])
def test_a_field_with_the_name_of_a_secret_is_redacted(capfd: pytest.CaptureFixture[str], field: str) -> None:
    lines = Lines(capfd)
    structlog.get_logger("shop").info("signed in", **{field: "plain words"})
    (line,) = lines.read()
    assert line[field] == "[hidden]"


def test_a_message_is_logged_as_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    lines = Lines(capfd)
    structlog.get_logger("shop").info("read", request=catalog_pb2.GetProductRequest(id="mug"))
    (line,) = lines.read()
    assert line["request"] == "hashiramart.catalog.v1.GetProductRequest"


def test_grpc_does_not_write_lines_of_its_own() -> None:
    """gRPC's core writes to standard error directly, so the test runs a process of its own."""
    program = f"""
import asyncio, grpc
from mesh import telemetry
from mesh.settings import MeshSettings
telemetry.start("shop", MeshSettings())
async def main():
    async with grpc.aio.insecure_channel("127.0.0.1:{free_port()}") as channel:
        await channel.unary_unary("/nobody/home")(b"").code()
asyncio.run(main())
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (answer.stdout, answer.stderr) == ("", "")


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"01-{TRACE}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        TRACEPARENT.upper(),
    ],
)
def test_a_malformed_traceparent_is_replaced(traceparent: str) -> None:
    origin = telemetry.origin_of({"traceparent": traceparent}, None)
    assert origin.trace_id != TRACE
    assert telemetry.origin_of({"traceparent": origin.traceparent}, None).trace_id == origin.trace_id


async def test_calls_are_counted_by_method_and_code_and_timed(issuer: Issuer) -> None:
    metrics = f"127.0.0.1:{free_port()}"
    settings = MeshSettings(drain_delay_seconds=0, metrics_listen=metrics)
    telemetry.start("shop", settings)
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        handled, timed = await measured(metrics, "rpc_handled_total", "NOT_FOUND"), await measured(metrics, "rpc_seconds_count")
        with pytest.raises(grpc.aio.AioRpcError):
            await shop.GetProduct(catalog_pb2.GetProductRequest(id="missing"))
        assert await measured(metrics, "rpc_handled_total", "NOT_FOUND") == handled + 1
        assert await measured(metrics, "rpc_seconds_count") == timed + 1
        slow = asyncio.ensure_future(shop.GetProduct(catalog_pb2.GetProductRequest(id="slow")))
        await asyncio.sleep(0.2)
        assert await measured(metrics, "rpc_in_flight") == 1
        slow.cancel()
        await asyncio.sleep(0.2)
        assert await measured(metrics, "rpc_in_flight") == 0
        assert await measured(metrics, "rpc_handled_total", "CANCELLED") >= 1


async def measured(metrics: str, name: str, code: str = "") -> float:
    """The value of a metric of GetProduct."""
    page = await asyncio.to_thread(lambda: httpx.get(f"http://{metrics}/metrics").text)
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{") and 'method="GetProduct"' in line and code in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def test_a_trace_runs_from_the_caller_to_the_statement_and_holds_no_values(postgres: Postgres) -> None:
    """In a process of its own, since the tracer provider is set once per process."""
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_INSECURE": "true"}
    command = [sys.executable, "-m", "tests.mesh.traced", postgres.create_database(), TRACEPARENT]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    assert await process.wait() == 0
    await server.stop(1)
    spans = {span.name: span for span in collector.spans}
    call, statement = spans[f"{CATALOG.full_name}/GetProduct"], spans["SELECT"]
    assert call.trace_id.hex() == statement.trace_id.hex() == TRACE
    assert call.parent_span_id.hex() == TRACEPARENT.split("-")[2]
    assert statement.parent_span_id == call.span_id
    assert "s3cret" not in str(collector.spans)


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Collects the exported spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    async def Export(  # noqa: N802 the contract's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self.spans += [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.mark.parametrize(("remaining", "step", "is_past"), [(60, 3600, False), (-1, -3600, True)])
def test_a_clock_that_is_set_moves_no_deadline(remaining: float, step: float, is_past: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    call = contextvars.copy_context()
    call.run(telemetry.enter, telemetry.origin_of({}, time.monotonic() + remaining))
    stepped = time.time() + step
    monkeypatch.setattr(time, "time", lambda: stepped)
    assert call.run(telemetry.is_past_deadline) is is_past
