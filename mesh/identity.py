"""Who is calling: a verified token, or a service's certificate."""

import asyncio
import math
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import grpc.aio
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from mesh.errors import PermissionDenied, StatusError, Unauthenticated, Unavailable
from mesh.revocations import RevokedTokens

# A certificate identifies the caller only if the call says so. A gateway presents its certificate with every call that it forwards, and
# an anonymous user's calls must not become a service's.
PROOF = "x-caller-proof"
CERTIFICATE = "certificate"

_VERIFIED_MAX = 4096
# How far the clocks of two machines may differ: one that is set must not end every sign-in.
_LEEWAY_SECONDS = 60
_REFETCH_SECONDS = 5
_RETRY_SECONDS = 1
_STALE_SECONDS = 300
_FETCH_SECONDS = 3
# A token is renewed when this share of its lifetime has passed.
_RENEW_AT = 0.8

_log = structlog.get_logger(__name__)


class Role(StrEnum):
    """The role of a caller. An admin may do all that staff may; a visitor, a service and an external system are not users."""

    ANONYMOUS = "anonymous"
    VISITOR = "visitor"
    CUSTOMER = "customer"
    STAFF = "staff"
    ADMIN = "admin"
    SERVICE = "service"
    SYSTEM = "system"


class Permission(StrEnum):
    """What an external system may be allowed to do."""

    WRITE_EVENTS = "events.write"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call."""

    subject: str
    """The id of a user or visitor, the name of a service or system, or nothing."""
    role: Role
    customer_number: str | None = None
    """The user's key in the sales history, if an admin has set it."""
    token: str | None = field(default=None, repr=False)
    """The verified token, which calls made for this caller carry as well."""
    sign_in_id: str = ""
    """The sign-in that the token belongs to, if it is a user's."""
    key_id: str = ""
    """The key that signed the token."""
    issue_time: float = 0
    """When the token was issued, in Unix time."""
    permissions: frozenset[str] = frozenset()
    """Those of an external system."""
    expire_time: float = math.inf
    """When the token expires; never, if a certificate identifies the caller."""
    refusal: StatusError | None = field(default=None, repr=False)
    """Why the token of an anonymous caller was not accepted, if there was one."""


ANONYMOUS = Caller(subject="", role=Role.ANONYMOUS)

_caller: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)


def caller() -> Caller:
    """The caller of the call being served."""
    return _caller.get()


def enter(caller: Caller) -> None:
    """Sets the caller of the call being served, until the end of the task."""
    _caller.set(caller)


def require_staff(message: str) -> None:
    """Raises, in a call that is public otherwise, unless staff make it.

    `PermissionDenied` with the message for another role; for an anonymous caller `Unauthenticated`, or what kept the token from being
    verified.
    """
    who = _caller.get()
    if who.role is Role.ANONYMOUS:
        raise who.refusal or Unauthenticated("TOKEN_MISSING", "this call needs an access token")
    if who.role not in (Role.STAFF, Role.ADMIN):
        raise PermissionDenied("ROLE_NOT_ALLOWED", message)


class Keys(Protocol):
    """The public keys that verify tokens."""

    async def key(self, kid: str) -> EllipticCurvePublicKey | None:
        """The key with this id, or None. Raises `Unavailable` if the keys cannot be read."""
        ...


class TokenVerifier:
    """Verifies access tokens (JWT, RFC 7519), and caches the result."""

    def __init__(self, issuer: str, audience: str, keys: Keys, revoked: RevokedTokens | None = None) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._revoked = revoked or RevokedTokens()
        # To verify a signature takes 100 µs, and every call of a caller carries the same token.
        self._verified: dict[str, Caller] = {}

    async def verify(self, token: str) -> Caller:
        """The caller to whom the token was issued. Raises `Unauthenticated`, or `Unavailable` if the keys cannot be read."""
        caller = self._verified.get(token)
        if caller is None:
            caller = await self._verify(token)
            if len(self._verified) >= _VERIFIED_MAX:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = caller
        self.check(caller)
        return caller

    def check(self, caller: Caller) -> None:
        """Raises `Unauthenticated` if the token of a caller has expired or was revoked since it was verified."""
        if time.time() >= caller.expire_time:
            raise _expiry_error()
        if self._revoked.include(caller.issue_time, caller.subject, caller.sign_in_id, caller.key_id):
            raise Unauthenticated("TOKEN_REVOKED", "the access token was revoked; get a new one")

    async def _verify(self, token: str) -> Caller:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = await self._keys.key(kid) if isinstance(kid, str) else None
            if key is None:
                raise _invalid()
            claims = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "iat", "exp", "jti", "role"]},
            )
            customer_number = claims.get("customer_number")
            caller = Caller(
                subject=claims["sub"],
                role=Role(claims["role"]),
                customer_number=str(customer_number) if customer_number else None,
                token=token,
                sign_in_id=str(claims.get("sid", "")),
                key_id=str(kid),
                issue_time=float(claims["iat"]),
                permissions=frozenset(claims.get("permissions", ())),
                expire_time=claims["exp"] + _LEEWAY_SECONDS,
            )
        except jwt.ExpiredSignatureError:
            raise _expiry_error() from None
        except (jwt.InvalidTokenError, ValueError):
            raise _invalid() from None
        if caller.role is Role.ANONYMOUS or not caller.subject:
            raise _invalid()
        return caller


class RemoteKeys:
    """The keys that auth lists: fetched at the first token, for a token with an unknown key, and every few minutes.

    While auth cannot be reached, the known keys stay valid.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._auth = auth_pb2_grpc.AuthServiceStub(channel)
        self._keys: dict[str, EllipticCurvePublicKey] = {}
        self._reached = False
        self._stale_at = self._next_fetch = float("-inf")
        self._fetching = asyncio.Lock()

    async def key(self, kid: str) -> EllipticCurvePublicKey | None:
        """The key with this id, or None if auth lists none. Raises `Unavailable` if auth cannot be reached."""
        if kid not in self._keys or time.monotonic() >= self._stale_at:
            async with self._fetching:
                # Anybody can send a token with an unknown key, which must not become a call to auth each time.
                if time.monotonic() >= self._next_fetch:
                    await self._fetch()
            if kid not in self._keys and not self._reached:
                raise Unavailable("SERVICE_UNAVAILABLE", "the keys that verify tokens cannot be reached")
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        try:
            response = await self._auth.ListSigningKeys(auth_pb2.ListSigningKeysRequest(), timeout=_FETCH_SECONDS)
        except grpc.aio.AioRpcError as error:
            _log.warning("signing keys not fetched", code=error.code().name)
            self._reached = False
            self._next_fetch = time.monotonic() + _RETRY_SECONDS
            return
        self._keys = {key.kid: public_key(key) for key in response.keys}
        self._reached = True
        self._next_fetch = time.monotonic() + _REFETCH_SECONDS
        self._stale_at = time.monotonic() + _STALE_SECONDS


def public_key(key: auth_pb2.SigningKey) -> EllipticCurvePublicKey:
    """The key of a JSON Web Key (RFC 7517) that auth lists."""
    loaded = ECAlgorithm.from_jwk({"kty": key.kty, "crv": key.crv, "x": key.x, "y": key.y})
    assert isinstance(loaded, EllipticCurvePublicKey)  # noqa: S101 a key without `d` is a public one
    return loaded


class ServiceToken:
    """A service's own access token, by the client credentials grant (RFC 6749), renewed before it expires."""

    def __init__(self, auth: grpc.aio.Channel, client_id: str, client_secret: str) -> None:
        self._auth = auth_pb2_grpc.AuthServiceStub(auth)
        self._client_id = client_id
        self._client_secret = client_secret
        self._proof: Sequence[tuple[str, str]] = ()
        self._renewal = float("-inf")
        self._renewing = asyncio.Lock()

    async def proof(self) -> Sequence[tuple[str, str]]:
        """The metadata of the service's own calls."""
        if time.monotonic() >= self._renewal:
            async with self._renewing:
                if time.monotonic() >= self._renewal:
                    await self._renew()
        return self._proof

    async def _renew(self) -> None:
        request = auth_pb2.IssueTokenRequest(grant_type="client_credentials", client_id=self._client_id, client_secret=self._client_secret)
        token = await self._auth.IssueToken(request, timeout=_FETCH_SECONDS)
        self._proof = (("authorization", f"Bearer {token.access_token}"),)
        self._renewal = time.monotonic() + token.expires_in * _RENEW_AT


async def caller_proof() -> Sequence[tuple[str, str]]:
    """The metadata of calls made for the caller of the call being served: their token."""
    token = caller().token
    return (("authorization", f"Bearer {token}"),) if token else ()


async def certificate_proof() -> Sequence[tuple[str, str]]:
    """The metadata of calls of a service whose certificate identifies it."""
    return ((PROOF, CERTIFICATE),)


def _expiry_error() -> Unauthenticated:
    return Unauthenticated("TOKEN_EXPIRED", "the access token has expired")


def _invalid() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "the access token is not one of ours")
