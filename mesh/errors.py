"""The errors with which calls end."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "hashiramart"

# A status travels twice in the trailers: its message percent-encoded, which can triple it, and the whole in base64. Many clients accept
# 8 KiB of trailers, and end a call that has more with another status.
_MAX_MESSAGE_BYTES = 512
_MAX_STATUS_BYTES = 4500
# Of one value in the metadata, of which an error has a few.
_MAX_VALUE_BYTES = 256
# The longest path or description of a violation, in characters; both may quote the request.
_MAX_QUOTE = 200
# For the type of the list, and the number of the violations that are not on it.
_RESERVED_BYTES = 128
_PLACEHOLDER = re.compile(r"\{(\w+):?([^{}]*)\}")
_OMITTED_VIOLATIONS = "omitted_violations"


class FieldViolation(NamedTuple):
    """A rule that a field of the request breaks."""

    field: str
    """The field's dotted path; empty for the message as a whole."""
    description: str


class StatusError(Exception):
    """The call ends with this status. `reason` is one of the `ErrorReason`s of the contracts, and belongs to this code alone.

    The message is a template, such as "there is no {resource} '{id}'". Its values are given by name, and are sent as the metadata of
    `ErrorInfo` as well, so that programs need not parse the message.
    """

    code: ClassVar[grpc.StatusCode]

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        violations: Sequence[FieldViolation] = (),
        retry_after_seconds: float | None = None,
        **metadata: object,
    ) -> None:
        self.message = _fill(message, metadata)
        super().__init__(self.message)
        self.reason = reason
        self.metadata = {key: str(value) for key, value in metadata.items()}
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds


class InvalidArgument(StatusError):
    """The request is wrong, whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        violations: Sequence[FieldViolation] = (),
        reason: str = "INVALID_REQUEST",
        **metadata: object,
    ) -> None:
        """field: the field that `message` is about, which saves a violation. It is in the metadata, or else that of the first violation."""
        if wrong_field := field or (violations[0].field if violations else ""):
            metadata["field"] = wrong_field
        super().__init__(reason, message, violations=violations, retry_after_seconds=None, **metadata)
        if field is not None:
            self.violations = (FieldViolation(field, self.message), *self.violations)


class UnsupportedCurrency(InvalidArgument):
    """A request names another currency than the shop's."""

    def __init__(self, field: str, currency_code: str, shop_currency: str) -> None:
        super().__init__(
            "the shop's currency is {shop_currency}, not '{currency_code}'",
            field=field,
            reason="UNSUPPORTED_CURRENCY",
            currency_code=currency_code,
            shop_currency=shop_currency,
        )


class NotFound(StatusError):
    """The resource does not exist: `NotFound("product", id)` has the reason PRODUCT_NOT_FOUND."""

    code = grpc.StatusCode.NOT_FOUND

    def __init__(self, resource: str, id: str) -> None:
        super().__init__(f"{_constant_case(resource)}_NOT_FOUND", "there is no {resource} '{id}'", resource=resource, id=id)


class AlreadyExists(StatusError):
    """The resource exists already: `AlreadyExists("product", id)` has the reason PRODUCT_EXISTS."""

    code = grpc.StatusCode.ALREADY_EXISTS

    def __init__(self, resource: str, id: str) -> None:
        super().__init__(f"{_constant_case(resource)}_EXISTS", "there is already a {resource} '{id}'", resource=resource, id=id)


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


class DeadlineExceeded(StatusError):
    """The deadline passed before the call was complete."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unimplemented(StatusError):
    """The contract has the method, and this service does not implement it."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Unavailable(StatusError):
    """Something that the call needs cannot be reached: retry."""

    code = grpc.StatusCode.UNAVAILABLE

    def __init__(self, reason: str, message: str, *, retry_after_seconds: float = 1, **metadata: object) -> None:
        super().__init__(reason, message, violations=(), retry_after_seconds=retry_after_seconds, **metadata)


def status(error: StatusError) -> status_pb2.Status:
    """The error as it is sent to clients: `google.rpc.Status` with its standard details.

    It fits into the trailers of a call: texts are cut, and of many violations only the first are listed. The number of the others is in
    the metadata of `ErrorInfo`, as `omitted_violations`.
    """
    number: int = error.code.value[0]
    response = status_pb2.Status(code=number, message=_cut(error.message, _MAX_MESSAGE_BYTES))
    metadata = {key: _cut(value, _MAX_VALUE_BYTES) for key, value in error.metadata.items()}
    info = response.details.add()
    info.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    if error.retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after_seconds * 1e9))
        response.details.add().Pack(retry)
    if error.violations:
        listed = _bad_request(error.violations, _MAX_STATUS_BYTES - response.ByteSize())
        if omitted := len(error.violations) - len(listed.field_violations):
            metadata[_OMITTED_VIOLATIONS] = str(omitted)
            info.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
        response.details.add().Pack(listed)
    return response


def _fill(template: str, values: Mapping[str, object]) -> str:
    """The text of a template. Other braces than those of its values stay: a message may quote some."""
    return _PLACEHOLDER.sub(lambda found: format(values[found[1]], found[2]) if found[1] in values else found[0], template)


def _bad_request(violations: Sequence[FieldViolation], size: int) -> error_details_pb2.BadRequest:
    """The first violations, as many as fit into so many bytes."""
    listed = error_details_pb2.BadRequest()
    for violation in violations:
        item = error_details_pb2.BadRequest.FieldViolation(
            field=_abbreviate(violation.field), description=_abbreviate(violation.description)
        )
        # A tag and a length precede each.
        size -= item.ByteSize() + 4
        if size < _RESERVED_BYTES:
            break
        listed.field_violations.append(item)
    return listed


def _abbreviate(text: str) -> str:
    return text if len(text) <= _MAX_QUOTE else f"{text[: _MAX_QUOTE - 1]}…"


def _cut(text: str, size: int) -> str:
    """The text, or as much of it as fits into so many bytes of UTF-8, with an ellipsis."""
    encoded = text.encode()
    return text if len(encoded) <= size else f"{encoded[: size - 3].decode(errors='ignore')}…"


def _constant_case(resource: str) -> str:
    return resource.upper().replace(" ", "_").replace("-", "_")
