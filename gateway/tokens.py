"""What an access token says of itself. Services verify it; the gateway reads it to refuse early and to count callers."""

import binascii
import time
from base64 import urlsafe_b64decode
from functools import lru_cache

import grpc
import orjson

from gateway.errors import GatewayError, error_status

# Longer ones are not read: no service accepts them.
MAX_AUTHORIZATION = 4096
# How far the gateway's clock may be ahead of a service's. The service decides within that time.
_LEEWAY_SECONDS = 60
_CACHED = 4096

_MISSING = error_status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", "this call needs an access token")
_INVALID = error_status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "the access token is not one of ours")
_EXPIRED = error_status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", "the access token has expired")


class ReadToken:
    """An access token whose signature was not verified."""

    __slots__ = ("expire_time", "proven", "subject")

    def __init__(self, subject: str, expire_time: float) -> None:
        self.subject = subject
        self.expire_time = expire_time
        self.proven = False
        """Whether a service has accepted it. Until then, anybody may have written it, in anybody's name."""


def read_token(authorization: bytes) -> ReadToken | None:
    """The token of an `Authorization` header, or None if there is none that can be read. The same object for the same header."""
    return _read(authorization) if 0 < len(authorization) <= MAX_AUTHORIZATION else None


def require_token(authorization: bytes) -> None:
    """Raises GatewayError, with the status that a service has for it, unless there is a token that may be valid."""
    if authorization[:7].lower() != b"bearer ":
        raise GatewayError(_MISSING)
    if (token := read_token(authorization)) is None:
        raise GatewayError(_INVALID)
    if time.time() > token.expire_time + _LEEWAY_SECONDS:
        raise GatewayError(_EXPIRED)


@lru_cache(_CACHED)
def _read(authorization: bytes) -> ReadToken | None:
    scheme, _, token = authorization.partition(b" ")
    parts = token.strip().split(b".")
    if scheme.lower() != b"bearer" or len(parts) != 3:
        return None
    try:
        claims = orjson.loads(urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
    except (binascii.Error, orjson.JSONDecodeError):
        return None
    subject, expire_time = (claims.get("sub"), claims.get("exp")) if isinstance(claims, dict) else (None, None)
    return ReadToken(subject, expire_time) if isinstance(subject, str) and isinstance(expire_time, (int, float)) else None
