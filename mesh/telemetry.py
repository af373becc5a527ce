"""Logs, metrics and traces of a process."""

import logging
import os
import random
import re
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import NamedTuple

import structlog
from google.protobuf.message import Message
from opentelemetry import trace
from prometheus_client import start_http_server
from structlog.typing import EventDict, Processor, WrappedLogger

from mesh.settings import MeshSettings

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
# Part of the trailing metadata of a health check.
SERVICE_VERSION = "x-service-version"
# Before the name of an engine, where the health of a server lists the names of its services.
ENGINE_HEALTH = "engine/"


_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")

_REDACTED = "[hidden]"
_SECRET_FIELDS = {"authorization", "client_secret", "cookie", "email", "password", "refresh_token", "access_token", "secret", "token"}
_SECRETS = [
    (re.compile(r"eyJ[\w-]+\.[\w-]+(\.[\w-]*)?"), _REDACTED),
    (re.compile(r"\b(bearer|basic) +\S+", re.IGNORECASE), rf"\1 {_REDACTED}"),
    (re.compile(r"(://[^/@\s:]*):[^/@\s]+@"), rf"\1:{_REDACTED}@"),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), _REDACTED),
]


class Origin(NamedTuple):
    """Where a call comes from. It goes into every log line, and on to every call made meanwhile."""

    request_id: str
    traceparent: str
    """W3C Trace Context: `00-<trace id>-<span id>-<flags>`."""
    deadline: float | None
    """In seconds of the monotonic clock, which nobody sets. None if the client has not set one."""

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


def start(service: str, settings: MeshSettings) -> None:
    """Starts to log as JSON lines to standard output, to export spans and to serve metrics, as the settings say. Once per process."""
    _log_as_json(service, settings.log_level)
    if settings.otlp_endpoint:
        _export_spans(service, settings.otlp_endpoint)
    if settings.metrics_listen:
        host, _, port = settings.metrics_listen.rpartition(":")
        start_http_server(int(port), host.strip("[]"))


def tracer() -> trace.Tracer | None:
    """The tracer, or None if spans are not exported: then trace ids are passed on all the same, and no spans are made."""
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider.get_tracer("hashiramart")


def origin() -> Origin | None:
    """The origin of the call being served, or None outside of one."""
    return _origin.get()


def enter(origin: Origin) -> None:
    """Sets the origin of the call being served, until the end of the task."""
    _origin.set(origin)


def enter_span(traceparent: str) -> None:
    """Sets the current span of the call being served, until the end of the task."""
    if current := _origin.get():
        _origin.set(current._replace(traceparent=traceparent))


def is_past_deadline() -> bool:
    """Whether the deadline of the call being served has passed."""
    current = _origin.get()
    return current is not None and current.deadline is not None and time.monotonic() >= current.deadline


def origin_of(metadata: Mapping[str, str], deadline: float | None) -> Origin:
    """The origin of a call with this metadata. Ids that are missing or malformed are generated."""
    traceparent = metadata.get(TRACEPARENT, "")
    if not _TRACEPARENT.match(traceparent):
        traceparent = new_traceparent()
    request_id = metadata.get(REQUEST_ID, "")
    if not 0 < len(request_id) <= 128:
        request_id = traceparent[3:35]
    return Origin(request_id, traceparent, deadline)


def new_traceparent() -> str:
    """A traceparent of a new trace, which is not sampled."""
    ids = f"{random.getrandbits(192):048x}"
    return f"00-{ids[:32]}-{ids[32:]}-00"


def redact(text: str) -> str:
    """The text without what looks like a token, a password in a URL, or an e-mail address."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _export_spans(service: str, endpoint: str) -> None:
    # Imported here: most processes export none, and would start a quarter of a second later.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def _log_as_json(service: str, level: str) -> None:
    # gRPC's core writes to standard error, in a format of its own, what it raises as errors anyway.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        _add_origin,
        structlog.processors.format_exc_info,
        _redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=level.upper(), handlers=[_json_handler(shared)], force=True)
    # It logs every request.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _json_handler(processors: list[Processor]) -> logging.Handler:
    """Writes the log records of structlog and of the standard library alike."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *processors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    return handler


def _add_origin(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if current := _origin.get():
        event["request_id"] = current.request_id
        event["trace_id"] = current.trace_id
    return event


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if not name.startswith("_"):  # those are structlog's own
            event[name] = _REDACTED if name in _SECRET_FIELDS else _redact_value(value)
    return event


def _redact_value(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(name): _REDACTED if name in _SECRET_FIELDS else _redact_value(item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redact_value(item) for item in value]
        case Message():
            # A message holds data of callers.
            return value.DESCRIPTOR.full_name
    return redact(str(value))
