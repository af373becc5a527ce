"""Errors as `google.rpc.Status`, and their HTTP responses."""

import math
from typing import TypeVar, cast

import grpc
import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from gateway.asgi import JSON_HEADERS, HttpResponse
from gateway.malformed import MalformedRequest
from gateway.writer import writer

DOMAIN = "hashiramart"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_SECONDS = 1
# How much of a path is quoted, in characters.
_MAX_PATH = 200

# The mapping of grpc-gateway.
_HTTP_STATUSES = {
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
# Reasons for which HTTP has a more specific status.
_HTTP_STATUSES_BY_REASON = {"METHOD_NOT_ALLOWED": 405, "REQUEST_TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415}
# Reason and message for what gRPC itself answers when the service did not. Its own messages name sockets.
_GRPC_ERRORS = {
    grpc.StatusCode.UNAVAILABLE: ("SERVICE_UNAVAILABLE", "{service} cannot be reached"),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("DEADLINE_EXCEEDED", "{service} did not answer in time"),
    grpc.StatusCode.UNIMPLEMENTED: ("NOT_IMPLEMENTED", "{service} does not implement this call"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("REQUEST_TOO_LARGE", "the request is larger than {service} accepts"),
    grpc.StatusCode.CANCELLED: ("CANCELLED", "{service} cancelled the call"),
}

_Detail = TypeVar("_Detail", ErrorInfo, RetryInfo)


class GatewayError(Exception):
    """An error of the gateway itself: the request is answered with this status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def error_status(code: grpc.StatusCode, reason: str, message: str, *, retry_seconds: int = 0, **metadata: str) -> Status:
    """A status with its reason and, if there is one, the delay after which to try again: after UNAVAILABLE always.

    The metadata has what the message says by key, so that programs need not parse it.
    """
    status = Status(code=code.value[0], message=message)
    status.details.add().Pack(ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))
    if retry_seconds or code is grpc.StatusCode.UNAVAILABLE:
        retry = RetryInfo()
        retry.retry_delay.FromSeconds(retry_seconds or RETRY_SECONDS)
        status.details.add().Pack(retry)
    return status


def malformed_status(error: MalformedRequest) -> Status:
    """The status for a request that cannot be read."""
    code, reason = grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST"
    if not error.field:
        return error_status(code, reason, error.problem, retry_seconds=0, **error.metadata)
    message = f"{error.field}: {error.problem}"
    status = error_status(code, reason, message, retry_seconds=0, field=error.field, **error.metadata)
    violations = BadRequest()
    violations.field_violations.add(field=error.field, description=error.problem)
    status.details.add().Pack(violations)
    return status


def internal_status() -> Status:
    """The status for a bug of ours."""
    return error_status(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error")


def idle_status(seconds: float) -> Status:
    """The status for a stream or a body that paused for too long."""
    message = f"nothing was received for {seconds:g} seconds"
    return error_status(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", message, seconds=f"{seconds:g}")


def slow_status(size: int, seconds: float) -> Status:
    """The status for a body that comes too slowly."""
    message = f"the body is too slow: {size} bytes in {seconds:.0f} seconds"
    return error_status(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", message, bytes=str(size), seconds=f"{seconds:.0f}")


def path_not_found(path: str) -> Status:
    """The status for a path at which there is nothing."""
    path = path[:_MAX_PATH]
    return error_status(grpc.StatusCode.NOT_FOUND, "PATH_NOT_FOUND", f"nothing is at {path}", path=path)


def method_not_allowed(method: str, path: str) -> Status:
    """The status for an HTTP method that a path does not have."""
    path = path[:_MAX_PATH]
    return error_status(grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", f"{path} does not accept {method}", method=method, path=path)


def rpc_status(error: grpc.aio.AioRpcError, service: str) -> Status:
    """The status that a service answered, or the one that stands for gRPC's own when the service could not."""
    code = error.code()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                break
    if code in _GRPC_ERRORS:
        reason, message = _GRPC_ERRORS[code]
        return error_status(code, reason, message.format(service=service), service=service)
    if code in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS):
        return internal_status()
    return Status(code=code.value[0], message=error.details() or "")


def status_of(error: MalformedRequest | GatewayError | grpc.aio.AioRpcError, service: str) -> Status:
    """The status of any error that a request can end with. The service is the one it was meant for."""
    if isinstance(error, MalformedRequest):
        return malformed_status(error)
    return error.status if isinstance(error, GatewayError) else rpc_status(error, service)


def error_response(status: Status) -> HttpResponse:
    """The HTTP response for a status."""
    info, retry = _detail(status, ErrorInfo()), _detail(status, RetryInfo())
    http_status = _HTTP_STATUSES_BY_REASON.get(info.reason) or _HTTP_STATUSES.get(status.code, 500)
    headers = list(JSON_HEADERS)
    if http_status == 401:
        headers.append((b"www-authenticate", _challenge(info.reason)))
    if retry.HasField("retry_delay"):
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(retry.retry_delay.ToTimedelta().total_seconds()))))
    return HttpResponse(http_status, headers, status_json(status))


def http_status(code: grpc.StatusCode, reason: str) -> int:
    """The HTTP status of an error."""
    return _HTTP_STATUSES_BY_REASON.get(reason) or _HTTP_STATUSES.get(code.value[0], 500)


def status_json(status: Status) -> bytes:
    """The JSON of a status, its details included."""
    return orjson.dumps(_write_status(status))


def reason_of(status: Status) -> str:
    """The stable reason of a status; empty if it has none."""
    return _detail(status, ErrorInfo()).reason


_write_status = writer(cast(Descriptor, Status.DESCRIPTOR))


def _detail(status: Status, detail: _Detail) -> _Detail:
    """The status's detail of this type, empty if it has none."""
    for packed in status.details:
        packed.Unpack(detail)  # leaves it empty if the type is another
    return detail


def _challenge(reason: str) -> bytes:
    """The challenge of RFC 6750, which names no error to a request without a token."""
    if reason == "TOKEN_MISSING":
        return b'Bearer realm="hashiramart"'
    return b'Bearer realm="hashiramart", error="invalid_token"'
