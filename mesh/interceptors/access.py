"""Access to methods: who calls, and whether the contract lets them."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from google.protobuf.descriptor import MethodDescriptor

from hashiramart.access.v1 import access_pb2
from mesh import identity
from mesh.errors import PermissionDenied, Unauthenticated, Unavailable
from mesh.identity import ANONYMOUS, Caller, Role, TokenVerifier
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata

# How soon a stream ends whose caller's token is no longer valid.
_CHECK_SECONDS = 1

_STAFF = frozenset({Role.STAFF, Role.ADMIN})
_SHOPPERS = _STAFF | {Role.VISITOR, Role.CUSTOMER}
_ALLOWED: dict[int, frozenset[Role]] = {
    access_pb2.ACCESS_UNSPECIFIED: frozenset({Role.ADMIN}),
    access_pb2.ACCESS_PUBLIC: frozenset(Role),
    access_pb2.ACCESS_USER: _STAFF | {Role.CUSTOMER},
    access_pb2.ACCESS_STAFF: _STAFF,
    access_pb2.ACCESS_ADMIN: frozenset({Role.ADMIN}),
    access_pb2.ACCESS_SERVICE: frozenset({Role.SERVICE}),
    access_pb2.ACCESS_STAFF_OR_SERVICE: _STAFF | {Role.SERVICE},
    access_pb2.ACCESS_SHOPPER: _SHOPPERS,
    access_pb2.ACCESS_SHOPPER_OR_SYSTEM: _SHOPPERS | {Role.SYSTEM},
}


def with_access(handler: Handler, method: MethodDescriptor, verifier: TokenVerifier) -> Handler:
    """Identifies the caller, and raises `Unauthenticated` or `PermissionDenied` for one whom the contract does not allow this method."""
    options = method.GetOptions()
    allowed, services = _ALLOWED[options.Extensions[access_pb2.access]], frozenset(options.Extensions[access_pb2.callers])

    async def public(body: Body, context: Context, metadata: Metadata) -> Answer:
        try:
            caller = await _caller(context, metadata, verifier)
        except (Unauthenticated, Unavailable) as error:
            caller = replace(ANONYMOUS, refusal=error)
        identity.enter(caller)
        return await handler(body, context, metadata)

    async def check_access(body: Body, context: Context, metadata: Metadata) -> Answer:
        caller = await _caller(context, metadata, verifier)
        # Also of a call that is refused, the audit event says who called.
        identity.enter(caller)
        if caller.role not in allowed:
            if caller is ANONYMOUS:
                raise Unauthenticated("TOKEN_MISSING", "this call needs an access token")
            raise PermissionDenied("ROLE_NOT_ALLOWED", "the role '{role}' may not call {method}", role=caller.role, method=method.name)
        if caller.role is Role.SERVICE and caller.subject not in services:
            raise PermissionDenied(
                "ROLE_NOT_ALLOWED", "the service '{service}' may not call {method}", service=caller.subject, method=method.name
            )
        answer = handler(body, context, metadata)
        return await (_while_valid(answer, caller, verifier) if method.server_streaming else answer)

    return public if Role.ANONYMOUS in allowed else check_access


async def _while_valid(stream: Awaitable[Answer], caller: Caller, verifier: TokenVerifier) -> Answer:
    """Awaits a response stream to its end. Raises `Unauthenticated` when the caller's token expires or is revoked."""
    task, refusal = asyncio.current_task(), None
    if task is None:
        raise RuntimeError("a stream runs in a task")

    async def end_when_invalid() -> None:
        nonlocal refusal
        while refusal is None:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                verifier.check(caller)
            except Unauthenticated as error:
                refusal = error
                task.cancel()

    checks = asyncio.create_task(end_when_invalid())
    try:
        return await stream
    except asyncio.CancelledError:
        if refusal is None:
            raise
        task.uncancel()
        raise refusal from None
    finally:
        checks.cancel()


async def _caller(context: Context, metadata: Metadata, verifier: TokenVerifier) -> Caller:
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await verifier.verify(token.strip())
    if metadata.get(identity.PROOF) == identity.CERTIFICATE and (names := context.auth_context().get("x509_common_name")):
        return Caller(subject=next(iter(names)).decode(), role=Role.SERVICE)
    return ANONYMOUS
