"""The errors of calls, with the details that services send."""

from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class CallError:
    """Why a call failed."""

    code: grpc.StatusCode
    reason: str
    """The stable reason, one of an `ErrorReason` of the contracts. Empty if no service answered."""
    message: str
    metadata: dict[str, str]
    """What the message says, by key."""
    violations: tuple[error_details_pb2.BadRequest.FieldViolation, ...]
    """The fields of the request that break a rule of the contract: `field`, such as `product.price_cents`, and `description`."""
    retry_seconds: float | None
    """How long to wait before a retry, if the service says so."""


def call_error(error: grpc.RpcError) -> CallError:
    """The details of an error that a call raised, with or without asyncio."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an error of a call is a call
    info, invalid, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    details: list[Any] = [*status.details] if status else []
    for detail in details:
        for kind in (info, invalid, retry):
            detail.Unpack(kind)
    return CallError(
        error.code(),
        info.reason,
        error.details() or "",
        dict(info.metadata),
        tuple(invalid.field_violations),
        retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
    )
