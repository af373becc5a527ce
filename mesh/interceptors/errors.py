"""Errors of calls: a `StatusError` is sent to the client, any other is logged and answered INTERNAL."""

import traceback
from collections.abc import Iterator

import grpc.aio
import structlog
from google.protobuf import any_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from mesh import telemetry
from mesh.errors import DOMAIN, DeadlineExceeded, StatusError, Unavailable, status
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata

_log = structlog.get_logger(__name__)

_REQUEST = "[request]"
# Shorter texts are words of the traceback as well.
_MIN_REDACTED_LENGTH = 3


def with_errors(handler: Handler, method: MethodDescriptor) -> Handler:
    """Ends a call that raises with a status. The text of an unexpected error is never sent to the client."""
    request_class = GetMessageClass(method.input_type)

    def internal_error(error: Exception, body: Body) -> status_pb2.Status:
        _log.error("internal error", rpc=method.full_name, exception=_redacted_traceback(error, body, request_class))
        return _internal_status()

    async def handle_errors(body: Body, context: Context, metadata: Metadata) -> Answer:
        try:
            return await handler(body, context, metadata)
        except StatusError as error:
            if isinstance(error, Unavailable):
                _log.warning("unavailable", rpc=method.full_name, reason=error.reason, error=repr(error.__cause__))
            response = status(error)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.AioRpcError as error:
            response = _upstream_status(error) or internal_error(error, body)
        except Exception as error:  # noqa: BLE001 this is the edge
            response = internal_error(error, body)
        return await _abort(context, response)

    return handle_errors


def _upstream_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """The status to end with when a call to another service failed: that call's own if it is one of the mesh. None for a bug."""
    try:
        response: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]  # has all that it asks for
    except ValueError:
        response = None
    if response is not None and any(_is_ours(detail) for detail in response.details):
        return response
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return status(Unavailable("SERVICE_UNAVAILABLE", "a service that is needed cannot be reached"))
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return status(DeadlineExceeded("DEADLINE_EXCEEDED", "a service that is needed did not answer in time"))
    return None


def _is_ours(detail: any_pb2.Any) -> bool:
    info = error_details_pb2.ErrorInfo()
    return detail.Unpack(info) and info.domain == DOMAIN


def _internal_status() -> status_pb2.Status:
    origin = telemetry.origin()
    request_id = origin.request_id if origin else ""
    number: int = grpc.StatusCode.INTERNAL.value[0]
    response = status_pb2.Status(code=number, message=f"an internal error, logged under the request id '{request_id}'")
    response.details.add().Pack(error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"request_id": request_id}))
    response.details.add().Pack(error_details_pb2.RequestInfo(request_id=request_id))
    return response


def _redacted_traceback(error: Exception, body: Body, request_class: type[Message]) -> str:
    """The traceback without the texts of the request, which the texts of exceptions often quote."""
    text = "".join(traceback.format_exception(error))
    for value in sorted(_text_values(_parse(body, request_class)), key=len, reverse=True):
        if len(value) >= _MIN_REDACTED_LENGTH:
            text = text.replace(value, _REQUEST)
    return text


def _parse(body: Body, request_class: type[Message]) -> Message:
    try:
        return request_class.FromString(body) if isinstance(body, bytes) else request_class()
    except DecodeError:
        return request_class()


def _text_values(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        for item in value if field.is_repeated else (value,):
            if isinstance(item, Message):
                yield from _text_values(item)
            elif isinstance(item, str):
                yield item


async def _abort(context: Context, response: status_pb2.Status) -> Answer:
    origin = telemetry.origin()
    ending = rpc_status.to_status(response)
    request_id = (telemetry.REQUEST_ID, origin.request_id if origin else "")
    await context.abort(ending.code, ending.details, (*ending.trailing_metadata, request_id))
