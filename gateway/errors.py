"""Statuses of gRPC as answers of HTTP."""

import math
from typing import NamedTuple, TypeAlias, TypeVar, cast

import grpc
import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from gateway.reader import Malformed
from gateway.writer import writer

DOMAIN = "hashiramart"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_SECONDS = 1

Headers: TypeAlias = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What goes back over HTTP."""

    status: int
    headers: Headers
    body: bytes


def refusal(code: grpc.StatusCode, reason: str, message: str) -> Status:
    status = Status(code=code.value[0], message=message)
    status.details.add().Pack(ErrorInfo(reason=reason, domain=DOMAIN))
    if code is grpc.StatusCode.UNAVAILABLE:
        retry = RetryInfo()
        retry.retry_delay.FromSeconds(RETRY_SECONDS)
        status.details.add().Pack(retry)
    return status


def malformed(problem: Malformed) -> Status:
    message = f"{problem.field}: {problem.problem}" if problem.field else problem.problem
    status = refusal(grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST", message)
    if problem.field:
        violations = BadRequest()
        violations.field_violations.add(field=problem.field, description=problem.problem)
        status.details.add().Pack(violations)
    return status


def refused_by(error: grpc.aio.AioRpcError, service: str) -> Status:
    """The status that a service gave, or gRPC in its place when the service could not."""
    code = error.code()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                break
    if bare := _BARE.get(code):
        reason, message = bare
        return refusal(code, reason, message.format(service=service))
    if code in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS):
        return internal()
    return Status(code=code.value[0], message=error.details() or "")


def internal() -> Status:
    return refusal(grpc.StatusCode.INTERNAL, "INTERNAL", "something went wrong on our side")


def answer(status: Status) -> Answer:
    info, retry = _detail(status, ErrorInfo()), _detail(status, RetryInfo())
    http_status = _HTTP_OF_REASON.get(info.reason) or _HTTP.get(status.code, 500)
    headers: Headers = [(b"content-type", b"application/json")]
    if http_status == 401:
        headers.append((b"www-authenticate", _challenge(info.reason)))
    if retry.HasField("retry_delay"):
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(retry.retry_delay.ToTimedelta().total_seconds()))))
    return Answer(http_status, headers, json(status))


def json(status: Status) -> bytes:
    return orjson.dumps(_write(status))


def reason_of(status: Status) -> str:
    return _detail(status, ErrorInfo()).reason


_write = writer(cast(Descriptor, Status.DESCRIPTOR))

# As grpc-gateway maps them.
_HTTP = {
    0: 200,
    grpc.StatusCode.CANCELLED.value[0]: 499,
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: 504,
    grpc.StatusCode.NOT_FOUND.value[0]: 404,
    grpc.StatusCode.ALREADY_EXISTS.value[0]: 409,
    grpc.StatusCode.PERMISSION_DENIED.value[0]: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: 429,
    grpc.StatusCode.FAILED_PRECONDITION.value[0]: 400,
    grpc.StatusCode.ABORTED.value[0]: 409,
    grpc.StatusCode.OUT_OF_RANGE.value[0]: 400,
    grpc.StatusCode.UNIMPLEMENTED.value[0]: 501,
    grpc.StatusCode.UNAVAILABLE.value[0]: 503,
    grpc.StatusCode.UNAUTHENTICATED.value[0]: 401,
}
# What HTTP has a code of its own for.
_HTTP_OF_REASON = {"METHOD_NOT_ALLOWED": 405, "REQUEST_TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415}
# What gRPC says by itself, when no service has answered: its texts speak of sockets.
_BARE = {
    grpc.StatusCode.UNAVAILABLE: ("SERVICE_UNAVAILABLE", "{service} cannot be reached"),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("DEADLINE_EXCEEDED", "{service} did not answer in time"),
    grpc.StatusCode.UNIMPLEMENTED: ("NOT_IMPLEMENTED", "{service} does not serve this call"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("REQUEST_TOO_LARGE", "the request is larger than {service} takes"),
    grpc.StatusCode.CANCELLED: ("CANCELLED", "the call was cancelled"),
}


Detail = TypeVar("Detail", ErrorInfo, RetryInfo)


def _detail(status: Status, kind: Detail) -> Detail:
    """The status's detail of this kind, empty if it has none."""
    for packed in status.details:
        packed.Unpack(kind)  # does nothing if it is another kind
    return kind


def _challenge(reason: str) -> bytes:
    """RFC 6750: a request without a token is not told of an error."""
    if reason == "TOKEN_MISSING":
        return b'Bearer realm="hashiramart"'
    return b'Bearer realm="hashiramart", error="invalid_token"'
