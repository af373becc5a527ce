"""Errors of calls to a service, as their callers receive them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mesh.errors import FieldViolation


class CallError(NamedTuple):
    """The error of a call."""

    code: grpc.StatusCode
    reason: str
    violations: tuple[FieldViolation, ...]
    retry_seconds: float | None
    """After how long the service asks the caller to retry, or None if it does not."""
    message: str
    metadata: dict[str, str]
    """What the message says, by key."""

    @property
    def fields(self) -> list[str]:
        """The fields that violate a rule, once per violation."""
        return [violation.field for violation in self.violations]


def error_of(call: Callable[[], object]) -> CallError:
    """The error of a call. The test fails if the call succeeds."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return _call_error(raised.value)


@contextmanager
def fails_with(code: grpc.StatusCode, reason: str) -> Iterator[dict[str, str]]:
    """Asserts that the call in a `with` block fails. Yields a dictionary, which holds the violations by field after the block."""
    violations: dict[str, str] = {}
    with pytest.raises(grpc.RpcError) as raised:
        yield violations
    error = _call_error(raised.value)
    violations.update(error.violations)
    assert (error.code, error.reason) == (code, reason), error.message


def _call_error(error: grpc.RpcError) -> CallError:
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None, error
    info, bad_request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    retry_seconds: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
        if detail.Unpack(retry):
            retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
    violations = tuple(FieldViolation(violation.field, violation.description) for violation in bad_request.field_violations)
    return CallError(error.code(), info.reason, violations, retry_seconds, status.message, dict(info.metadata))
