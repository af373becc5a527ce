"""Telemetry of calls: request ids, metrics, spans."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

from mesh import telemetry
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata

_LABELS = ("service", "method")
_STARTED = Counter("rpc_started", "Calls begun.", _LABELS)
_HANDLED = Counter("rpc_handled", "Calls ended, by status code.", (*_LABELS, "code"))
_IN_FLIGHT = Gauge("rpc_in_flight", "Calls being served.", _LABELS)
_SECONDS = Histogram(
    "rpc_seconds", "How long calls took.", _LABELS, buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
)


def with_telemetry(handler: Handler, method: MethodDescriptor) -> Callable[[Body, Context], Awaitable[Answer]]:
    """Counts and times the calls, and gives each its request id and its place in a trace."""
    service, name = method.containing_service.full_name, method.name
    in_flight = _IN_FLIGHT.labels(service, name)
    started = _STARTED.labels(service, name)
    seconds = _SECONDS.labels(service, name)
    handled = {code.name: _HANDLED.labels(service, name, code.name) for code in grpc.StatusCode}
    if tracer := telemetry.tracer():
        handler = _with_span(handler, f"{service}/{name}", tracer)

    async def measure(body: Body, context: Context) -> Answer:
        begin = time.perf_counter()
        metadata = _enter(context)
        started.inc()
        in_flight.inc()
        code = "OK"
        try:
            return await handler(body, context, metadata)
        except BaseException as error:
            code = _code(error, context)
            raise
        finally:
            in_flight.dec()
            handled[code].inc()
            seconds.observe(time.perf_counter() - begin)

    return measure


def _enter(context: Context) -> Metadata:
    """Sets the origin of the call, and returns its metadata."""
    metadata: dict[str, str] = dict(context.invocation_metadata() or ())  # type: ignore[arg-type]  # it is a tuple of pairs
    remaining = context.time_remaining()
    origin = telemetry.origin_of(metadata, None if remaining is None else time.monotonic() + remaining)
    telemetry.enter(origin)
    context.set_trailing_metadata(((telemetry.REQUEST_ID, origin.request_id),))
    return metadata


def _with_span(handler: Handler, name: str, tracer: Tracer) -> Handler:
    propagator = TraceContextTextMapPropagator()

    async def trace(body: Body, context: Context, metadata: Metadata) -> Answer:
        # The text of an exception may quote the request, so a span gets the status code alone.
        with tracer.start_as_current_span(
            name, propagator.extract(metadata), SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            outgoing: dict[str, str] = {}
            propagator.inject(outgoing)
            telemetry.enter_span(outgoing[telemetry.TRACEPARENT])
            try:
                return await handler(body, context, metadata)
            except BaseException as error:
                span.set_attribute("rpc.response.status_code", _code(error, context))
                raise

    return trace


def _code(error: BaseException, context: Context) -> str:
    if isinstance(error, asyncio.CancelledError):
        # gRPC cancels a call whose deadline has passed as it cancels one that its client gave up.
        return "DEADLINE_EXCEEDED" if telemetry.is_past_deadline() else "CANCELLED"
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"
