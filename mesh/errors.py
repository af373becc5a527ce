"""What can go wrong, in the caller's terms."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "hashiramart"


class FieldViolation(NamedTuple):
    """What is wrong with one field of a request. `field` is its dotted path, empty when it is the message as a whole."""

    field: str
    description: str


class Refusal(Exception):
    """A call is refused, and the caller is told why. `reason` is one of the contracts' `ErrorReason`s."""

    code: ClassVar[grpc.StatusCode]

    def __init__(
        self, reason: str, message: str, *, violations: Sequence[FieldViolation] = (), retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds


class InvalidArgument(Refusal):
    """The request is wrong, whatever the state of things: one field of it, several, or all of it."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(
        self, message: str, *, field: str | None = None, violations: Sequence[FieldViolation] = (), reason: str = "INVALID_REQUEST"
    ) -> None:
        if field is not None:
            violations = (FieldViolation(field, message), *violations)
        super().__init__(reason, message, violations=violations)


class NotFound(Refusal):
    """There is no such thing: `NotFound("product", id)` has the reason PRODUCT_NOT_FOUND."""

    code = grpc.StatusCode.NOT_FOUND

    def __init__(self, resource: str, id: str) -> None:
        super().__init__(f"{_upper(resource)}_NOT_FOUND", f"there is no {resource} '{id}'")


class AlreadyExists(Refusal):
    """The name is taken: `AlreadyExists("product", id)` has the reason PRODUCT_EXISTS."""

    code = grpc.StatusCode.ALREADY_EXISTS

    def __init__(self, resource: str, id: str) -> None:
        super().__init__(f"{_upper(resource)}_EXISTS", f"there is already a {resource} '{id}'")


class FailedPrecondition(Refusal):
    """Not as things are now; the same call may succeed after something else was changed."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(Refusal):
    """Somebody else was faster: read again, and try with what was read."""

    code = grpc.StatusCode.ABORTED


class OutOfRange(Refusal):
    """Past the end of what there is."""

    code = grpc.StatusCode.OUT_OF_RANGE


class Unauthenticated(Refusal):
    """The caller has not proved who they are."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(Refusal):
    """The caller is known and may not."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(Refusal):
    """Too much, for now."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, reason: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason, message, retry_after_seconds=retry_after_seconds)


class DeadlineExceeded(Refusal):
    """There was no answer in time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unimplemented(Refusal):
    """The contract has it, this service does not."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Unavailable(Refusal):
    """Something that is needed cannot be reached: try again."""

    code = grpc.StatusCode.UNAVAILABLE

    def __init__(self, reason: str, message: str, retry_after_seconds: float = 1) -> None:
        super().__init__(reason, message, retry_after_seconds=retry_after_seconds)


def status(refusal: Refusal) -> status_pb2.Status:
    """The refusal as every client reads it."""
    number: int = refusal.code.value[0]
    answer = status_pb2.Status(code=number, message=refusal.message)
    answer.details.add().Pack(error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN))
    if refusal.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in refusal.violations:
            bad_request.field_violations.add(field=violation.field, description=violation.description)
        answer.details.add().Pack(bad_request)
    if refusal.retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(refusal.retry_after_seconds * 1e9))
        answer.details.add().Pack(retry)
    return answer


def _upper(resource: str) -> str:
    return resource.upper().replace(" ", "_").replace("-", "_")
