"""The errors with which calls end."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "hashiramart"


class FieldViolation(NamedTuple):
    """A rule that a field of the request breaks."""

    field: str
    """The field's dotted path; empty for the message as a whole."""
    description: str


class StatusError(Exception):
    """The call ends with this status. `reason` is one of the `ErrorReason`s of the contracts."""

    code: ClassVar[grpc.StatusCode]

    def __init__(
        self, reason: str, message: str, *, violations: Sequence[FieldViolation] = (), retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds


class InvalidArgument(StatusError):
    """The request is wrong, whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(
        self, message: str, *, field: str | None = None, violations: Sequence[FieldViolation] = (), reason: str = "INVALID_REQUEST"
    ) -> None:
        """field: the field that `message` is about, which saves a violation"""
        if field is not None:
            violations = (FieldViolation(field, message), *violations)
        super().__init__(reason, message, violations=violations)


class NotFound(StatusError):
    """The resource does not exist: `NotFound("product", id)` has the reason PRODUCT_NOT_FOUND."""

    code = grpc.StatusCode.NOT_FOUND

    def __init__(self, resource: str, id: str) -> None:
        super().__init__(f"{_constant_case(resource)}_NOT_FOUND", f"there is no {resource} '{id}'")


class AlreadyExists(StatusError):
    """The resource exists already: `AlreadyExists("product", id)` has the reason PRODUCT_EXISTS."""

    code = grpc.StatusCode.ALREADY_EXISTS

    def __init__(self, resource: str, id: str) -> None:
        super().__init__(f"{_constant_case(resource)}_EXISTS", f"there is already a {resource} '{id}'")


class FailedPrecondition(StatusError):
    """The state of the system does not allow the call. It may succeed once that state has changed."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(StatusError):
    """Another call has changed the resource meanwhile: read it again, and retry with what was read."""

    code = grpc.StatusCode.ABORTED


class OutOfRange(StatusError):
    """The call asks for something beyond the range that is available."""

    code = grpc.StatusCode.OUT_OF_RANGE


class Unauthenticated(StatusError):
    """The call lacks valid credentials."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(StatusError):
    """The caller is known, and is not allowed to make this call."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(StatusError):
    """A limit is reached for the time being."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, reason: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason, message, retry_after_seconds=retry_after_seconds)


class DeadlineExceeded(StatusError):
    """The deadline passed before the call was complete."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unimplemented(StatusError):
    """The contract has the method, and this service does not implement it."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Unavailable(StatusError):
    """Something that the call needs cannot be reached: retry."""

    code = grpc.StatusCode.UNAVAILABLE

    def __init__(self, reason: str, message: str, retry_after_seconds: float = 1) -> None:
        super().__init__(reason, message, retry_after_seconds=retry_after_seconds)


def status(error: StatusError) -> status_pb2.Status:
    """The error as it is sent to clients: `google.rpc.Status` with its standard details."""
    number: int = error.code.value[0]
    response = status_pb2.Status(code=number, message=error.message)
    response.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN))
    if error.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad_request.field_violations.add(field=violation.field, description=violation.description)
        response.details.add().Pack(bad_request)
    if error.retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after_seconds * 1e9))
        response.details.add().Pack(retry)
    return response


def _constant_case(resource: str) -> str:
    return resource.upper().replace(" ", "_").replace("-", "_")
