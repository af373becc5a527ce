"""Records each call that changes something or is refused."""

import asyncio
import re
from datetime import UTC, datetime
from uuid import uuid4

import grpc.aio
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from hashiramart.access.v1 import access_pb2
from mesh import audit, identity, telemetry
from mesh.audit import AuditEvent, AuditTrail
from mesh.client_address import Networks, nearest_untrusted, peer_address
from mesh.errors import StatusError
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata

_REFUSALS = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.RESOURCE_EXHAUSTED})
_VARIABLE = re.compile(r"\{([\w.]+)[^}]*\}")
_MAX_RESOURCE = 512

# PostgreSQL stores no NUL, and a log is easier to read without the others.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def with_audit(handler: Handler, method: MethodDescriptor, trail: AuditTrail, trusted_proxies: Networks) -> Handler:
    """Adds an event to the trail for each call that is refused, or that changes something, whether it succeeds or not."""
    options = method.GetOptions()
    is_read = options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    only_refusals = is_read or options.Extensions[access_pb2.unaudited]
    resource = _Resource(method)

    async def record(body: Body, context: Context, metadata: Metadata) -> Answer:
        code, reason = grpc.StatusCode.OK, ""
        try:
            return await handler(body, context, metadata)
        except StatusError as error:
            code, reason = error.code, error.reason
            raise
        except grpc.aio.AioRpcError as error:
            code = error.code()
            raise
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except BaseException:
            code = grpc.StatusCode.INTERNAL
            raise
        finally:
            if code in _REFUSALS or not (only_refusals or audit.is_omitted()):
                trail.add(event(body, context, metadata, code, reason))

    def event(body: Body, context: Context, metadata: Metadata, code: grpc.StatusCode, reason: str) -> AuditEvent:
        caller, origin = identity.caller(), telemetry.origin()
        return AuditEvent(
            id=uuid4(),
            event_time=datetime.now(UTC),
            subject=caller.subject,
            role=caller.role,
            rpc=method.full_name,
            resource=_CONTROL.sub("\ufffd", audit.resource() or resource.of(body))[:_MAX_RESOURCE],
            code=code.name,
            reason=reason,
            client_address=_client_address(context, metadata, trusted_proxies),
            request_id=origin.request_id if origin else "",
            is_refusal=code in _REFUSALS,
        )

    return record


class _Resource:
    """What the calls of a method are about: its path in REST, with the values of the request."""

    def __init__(self, method: MethodDescriptor) -> None:
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        self._path = next((path for path in (rule.get, rule.post, rule.put, rule.patch, rule.delete) if path), f"/{method.name}")
        self._request_class = GetMessageClass(method.input_type)

    def of(self, body: Body) -> str:
        """The resource that this request names."""
        request = self._parse(body)
        return _VARIABLE.sub(lambda variable: _value(request, variable[1]), self._path).removeprefix("/")

    def _parse(self, body: Body) -> Message:
        if "{" not in self._path or not isinstance(body, bytes):
            return self._request_class()
        try:
            return self._request_class.FromString(body)
        except DecodeError:
            return self._request_class()


def _value(request: Message, path: str) -> str:
    value: object = request
    for name in path.split("."):
        value = getattr(value, name)
    return str(value)


def _client_address(context: Context, metadata: Metadata, trusted_proxies: Networks) -> str:
    try:
        peer = peer_address(context.peer())
    except ValueError:
        return ""
    return str(nearest_untrusted(peer, metadata.get("x-forwarded-for", ""), trusted_proxies))
