"""What an RPC passes on its way in: telemetry, identity and access, validation, errors.

Each is a function from a handler to a handler, and is put around a method once, when the method is registered: what can be known of it
is known before its first call. Handlers take and give bytes, so that reading a request and writing an answer happen inside as well.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import grpc.aio
import protovalidate
import structlog
from google.protobuf import any_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

from hashiramart.access.v1 import access_pb2
from mesh import identity, telemetry
from mesh.errors import (
    DOMAIN,
    DeadlineExceeded,
    FieldViolation,
    InvalidArgument,
    PermissionDenied,
    StatusError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    status,
)
from mesh.identity import ANONYMOUS, Caller, Role, TokenVerifier

log = structlog.get_logger(__name__)

# One request, or a stream of them.
Body = bytes | AsyncIterable[bytes]
# The answer, or None when it was streamed.
Answer = bytes | None
Context = grpc.aio.ServicerContext[bytes, bytes]
Metadata = Mapping[str, str]
# Serves one call.
Handler = Callable[[Body, Context, Metadata], Awaitable[Answer]]


def violations(message: Message) -> list[FieldViolation]:
    """What in the message breaks a rule of its contract."""
    return [
        FieldViolation(_path(found.proto.field), found.proto.message or found.proto.rule_id)
        for found in protovalidate.collect_violations(message)
    ]


def telemetered(handler: Handler, method: MethodDescriptor) -> Callable[[Body, Context], Awaitable[Answer]]:
    """Counts and times the calls, gives each its request id and its place in a trace."""
    service, name = method.containing_service.full_name, method.name
    in_flight = _IN_FLIGHT.labels(service, name)
    started = _STARTED.labels(service, name)
    seconds = _SECONDS.labels(service, name)
    handled = {code.name: _HANDLED.labels(service, name, code.name) for code in grpc.StatusCode}
    if tracer := telemetry.tracer():
        handler = _traced(handler, f"{service}/{name}", tracer)

    async def measured(body: Body, context: Context) -> Answer:
        begin = time.perf_counter()
        metadata: dict[str, str] = dict(context.invocation_metadata() or ())  # type: ignore[arg-type]  # it is a tuple of pairs
        remaining = context.time_remaining()
        origin = telemetry.origin_of(metadata, None if remaining is None else time.time() + remaining)
        telemetry.enter(origin)
        context.set_trailing_metadata(((telemetry.REQUEST_ID, origin.request_id),))
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

    return measured


def with_errors(handler: Handler, method: MethodDescriptor) -> Handler:
    """Answers a refusal with its status, and a fault with INTERNAL and nothing of its text."""
    request_class = GetMessageClass(method.input_type)

    def fault(error: Exception, body: Body) -> status_pb2.Status:
        log.error("fault", rpc=method.full_name, exception=_told(error, body, request_class))
        return _internal()

    async def answered(body: Body, context: Context, metadata: Metadata) -> Answer:
        try:
            return await handler(body, context, metadata)
        except StatusError as refusal:
            if isinstance(refusal, Unavailable):
                log.warning("unavailable", rpc=method.full_name, reason=refusal.reason, error=repr(refusal.__cause__))
            answer = status(refusal)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.AioRpcError as error:
            answer = _passed_on(error) or fault(error, body)
        except Exception as error:  # noqa: BLE001 this is the edge
            answer = fault(error, body)
        return await _abort(context, answer)

    return answered


def identified(handler: Handler, method: MethodDescriptor, verifier: TokenVerifier) -> Handler:
    """Finds out who calls, and refuses those whom the contract does not let call this method."""
    allowed = _ALLOWED[method.GetOptions().Extensions[access_pb2.access]]

    async def public(body: Body, context: Context, metadata: Metadata) -> Answer:
        try:
            caller = await _caller(context, metadata, verifier)
        except (Unauthenticated, Unavailable):
            caller = ANONYMOUS
        identity.enter(caller)
        return await handler(body, context, metadata)

    async def restricted(body: Body, context: Context, metadata: Metadata) -> Answer:
        caller = await _caller(context, metadata, verifier)
        if caller.role not in allowed:
            if caller is ANONYMOUS:
                raise Unauthenticated("TOKEN_MISSING", "this call needs an access token")
            raise PermissionDenied("ROLE_NOT_ALLOWED", f"the role '{caller.role}' may not call {method.name}")
        identity.enter(caller)
        return await handler(body, context, metadata)

    return public if Role.ANONYMOUS in allowed else restricted


def validated(method_handler: grpc.RpcMethodHandler[Message, Message], method: MethodDescriptor) -> Handler:
    """The method's own handler, given only what keeps the contract, in time to be of use."""
    # gRPC's types know of the four kinds of handler as they are in its other, synchronous half.
    behaviour: Any = (
        method_handler.unary_unary or method_handler.unary_stream or method_handler.stream_unary or method_handler.stream_stream
    )
    deserialize: Any = method_handler.request_deserializer
    serialize: Any = method_handler.response_serializer

    def read(body: Body) -> Message | AsyncIterator[Message]:
        return _message(body, deserialize) if isinstance(body, bytes) else _messages(body, deserialize)

    async def answer(body: Body, context: Context, _metadata: Metadata) -> Answer:
        _refuse_late()
        written: bytes = serialize(await behaviour(read(body), context))
        return written

    async def stream(body: Body, context: Context, _metadata: Metadata) -> Answer:
        _refuse_late()
        async with aclosing(behaviour(read(body), context)) as messages:
            async for message in messages:
                await context.write(serialize(message))
        return None

    async def unimplemented(_body: Body, _context: Context, _metadata: Metadata) -> Answer:
        raise Unimplemented("NOT_IMPLEMENTED", f"{method.full_name} is not served here")

    if behaviour.__module__.endswith("_pb2_grpc"):
        # The servicer has left it to the generated class.
        return unimplemented
    streams = method_handler.response_streaming
    if not (inspect.isasyncgenfunction(behaviour) if streams else inspect.iscoroutinefunction(behaviour)):
        raise TypeError(f"{method.full_name} must be served by an async {'generator' if streams else 'function'}")
    return stream if streams else answer


_LABELS = ("service", "method")
_STARTED = Counter("rpc_started", "Calls begun.", _LABELS)
_HANDLED = Counter("rpc_handled", "Calls ended, by status code.", (*_LABELS, "code"))
_IN_FLIGHT = Gauge("rpc_in_flight", "Calls being served.", _LABELS)
_SECONDS = Histogram(
    "rpc_seconds", "How long calls took.", _LABELS, buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
)

_USERS = frozenset({Role.CUSTOMER, Role.STAFF, Role.ADMIN})
_STAFF = frozenset({Role.STAFF, Role.ADMIN})
_ALLOWED: dict[int, frozenset[Role]] = {
    access_pb2.ACCESS_UNSPECIFIED: frozenset({Role.ADMIN}),
    access_pb2.ACCESS_PUBLIC: frozenset(Role),
    access_pb2.ACCESS_USER: _USERS,
    access_pb2.ACCESS_STAFF: _STAFF,
    access_pb2.ACCESS_ADMIN: frozenset({Role.ADMIN}),
    access_pb2.ACCESS_SERVICE: frozenset({Role.SERVICE}),
    access_pb2.ACCESS_STAFF_OR_SERVICE: _STAFF | {Role.SERVICE},
}


def _traced(handler: Handler, name: str, tracer: Tracer) -> Handler:
    propagator = TraceContextTextMapPropagator()

    async def traced(body: Body, context: Context, metadata: Metadata) -> Answer:
        # An exception's text may hold what the caller sent, so spans only get the code.
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

    return traced


def _code(error: BaseException, context: Context) -> str:
    if isinstance(error, asyncio.CancelledError):
        # Core cancels the call in either case.
        return "DEADLINE_EXCEEDED" if _is_late() else "CANCELLED"
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"


async def _caller(context: Context, metadata: Metadata, verifier: TokenVerifier) -> Caller:
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await verifier.verify(token.strip())
    if metadata.get(identity.PROOF) == identity.CERTIFICATE and (names := context.auth_context().get("x509_common_name")):
        return Caller(subject=next(iter(names)).decode(), role=Role.SERVICE)
    return ANONYMOUS


def _is_late() -> bool:
    origin = telemetry.origin()
    return origin is not None and origin.deadline is not None and time.time() >= origin.deadline


def _refuse_late() -> None:
    if _is_late():
        raise DeadlineExceeded("DEADLINE_EXCEEDED", "the deadline had passed before the call was begun")


def _message(body: bytes, deserialize: Callable[[bytes], Message]) -> Message:
    try:
        message = deserialize(body)
    except DecodeError:
        raise InvalidArgument("the request is not a message of this method", reason="MALFORMED_REQUEST") from None
    if found := violations(message):
        first = found[0]
        raise InvalidArgument(f"{first.field}: {first.description}" if first.field else first.description, violations=found)
    return message


async def _messages(bodies: AsyncIterable[bytes], deserialize: Callable[[bytes], Message]) -> AsyncIterator[Message]:
    async for body in bodies:
        yield _message(body, deserialize)


def _path(path: protovalidate.FieldPathPb | None) -> str:
    """`product.price_cents`, `ids[3]`, `labels["size"]`; empty for the message as a whole."""
    names = []
    for element in path.elements if path else ():
        subscript = element.subscript
        names.append(element.field_name + (f"[{_quoted(subscript.value)}]" if subscript else ""))
    return ".".join(names)


def _quoted(subscript: object) -> str:
    return f'"{subscript}"' if isinstance(subscript, str) else str(subscript)


def _passed_on(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """What to answer when a service that this one called refused: the same, if the refusal is one of the mesh."""
    try:
        answer: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]  # has all that it asks for
    except ValueError:
        answer = None
    if answer is not None and any(_is_ours(detail) for detail in answer.details):
        return answer
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return status(Unavailable("SERVICE_UNAVAILABLE", "a service that is needed cannot be reached"))
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return status(DeadlineExceeded("DEADLINE_EXCEEDED", "a service that is needed did not answer in time"))
    return None


def _is_ours(detail: any_pb2.Any) -> bool:
    info = error_details_pb2.ErrorInfo()
    return detail.Unpack(info) and info.domain == DOMAIN


def _internal() -> status_pb2.Status:
    origin = telemetry.origin()
    request_id = origin.request_id if origin else ""
    number: int = grpc.StatusCode.INTERNAL.value[0]
    answer = status_pb2.Status(code=number, message=f"an internal error, logged under the request id '{request_id}'")
    answer.details.add().Pack(error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN))
    answer.details.add().Pack(error_details_pb2.RequestInfo(request_id=request_id))
    return answer


def _told(error: Exception, body: Body, request_class: type[Message]) -> str:
    """The traceback, without what the caller sent: an exception's text likes to quote what it was given."""
    told = "".join(traceback.format_exception(error))
    for text in sorted(_texts(_read_back(body, request_class)), key=len, reverse=True):
        if len(text) > 2:
            told = told.replace(text, "[request]")
    return told


def _read_back(body: Body, request_class: type[Message]) -> Message:
    try:
        return request_class.FromString(body) if isinstance(body, bytes) else request_class()
    except DecodeError:
        return request_class()


def _texts(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        for item in value if field.is_repeated else (value,):
            if isinstance(item, Message):
                yield from _texts(item)
            elif isinstance(item, str):
                yield item


async def _abort(context: Context, answer: status_pb2.Status) -> Answer:
    origin = telemetry.origin()
    told = rpc_status.to_status(answer)
    await context.abort(told.code, told.details, (*told.trailing_metadata, (telemetry.REQUEST_ID, origin.request_id if origin else "")))
