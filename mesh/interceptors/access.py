"""Access to methods: who calls, and whether the contract lets them."""

from google.protobuf.descriptor import MethodDescriptor

from hashiramart.access.v1 import access_pb2
from mesh import identity
from mesh.errors import PermissionDenied, Unauthenticated, Unavailable
from mesh.identity import ANONYMOUS, Caller, Role, TokenVerifier
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata

_STAFF = frozenset({Role.STAFF, Role.ADMIN})
_ALLOWED: dict[int, frozenset[Role]] = {
    access_pb2.ACCESS_UNSPECIFIED: frozenset({Role.ADMIN}),
    access_pb2.ACCESS_PUBLIC: frozenset(Role),
    access_pb2.ACCESS_USER: _STAFF | {Role.CUSTOMER},
    access_pb2.ACCESS_STAFF: _STAFF,
    access_pb2.ACCESS_ADMIN: frozenset({Role.ADMIN}),
    access_pb2.ACCESS_SERVICE: frozenset({Role.SERVICE}),
    access_pb2.ACCESS_STAFF_OR_SERVICE: _STAFF | {Role.SERVICE},
}


def with_access(handler: Handler, method: MethodDescriptor, verifier: TokenVerifier) -> Handler:
    """Identifies the caller, and raises `Unauthenticated` or `PermissionDenied` for one whom the contract does not allow this method."""
    allowed = _ALLOWED[method.GetOptions().Extensions[access_pb2.access]]

    async def public(body: Body, context: Context, metadata: Metadata) -> Answer:
        try:
            caller = await _caller(context, metadata, verifier)
        except (Unauthenticated, Unavailable):
            caller = ANONYMOUS
        identity.enter(caller)
        return await handler(body, context, metadata)

    async def check_access(body: Body, context: Context, metadata: Metadata) -> Answer:
        caller = await _caller(context, metadata, verifier)
        if caller.role not in allowed:
            if caller is ANONYMOUS:
                raise Unauthenticated("TOKEN_MISSING", "this call needs an access token")
            raise PermissionDenied("ROLE_NOT_ALLOWED", f"the role '{caller.role}' may not call {method.name}")
        identity.enter(caller)
        return await handler(body, context, metadata)

    return public if Role.ANONYMOUS in allowed else check_access


async def _caller(context: Context, metadata: Metadata, verifier: TokenVerifier) -> Caller:
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await verifier.verify(token.strip())
    if metadata.get(identity.PROOF) == identity.CERTIFICATE and (names := context.auth_context().get("x509_common_name")):
        return Caller(subject=next(iter(names)).decode(), role=Role.SERVICE)
    return ANONYMOUS
