"""Calls from pages of other origins (CORS)."""

import re
from collections.abc import Iterable

from starlette.middleware.cors import CORSMiddleware

from gateway.asgi import AsgiApp

ANY_ORIGIN = "*"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# The headers that the gateway reads, besides those that any page may send.
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Grpc-Timeout", "Idempotency-Key", "Traceparent", "Tracestate", "X-Request-Id")
# The headers of responses that a program may need, besides those that any page may read.
_RESPONSE_HEADERS = ("Allow", "Location", "Retry-After", "WWW-Authenticate", "X-Request-Id")
# How long a browser remembers what it may send; browsers cap it at two hours or less.
_MAX_AGE_SECONDS = 7200
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/?#@\s\[\]:]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def check_origin(origin: str) -> str:
    """An origin as browsers spell it. Raises ValueError for what is not an origin, and so would never match one."""
    origin = origin.strip().lower()
    if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin!r} is not an origin: expected scheme, host and port alone, such as https://shop.example.com, or *")
    return origin


def open_to(origins: Iterable[str], app: AsgiApp, *, credentials: bool) -> AsgiApp:
    """The app with responses that pages of these origins may read; with credentials, browsers send their cookies too."""
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=_METHODS,
        allow_headers=_REQUEST_HEADERS,
        allow_credentials=credentials,
        expose_headers=_RESPONSE_HEADERS,
        max_age=_MAX_AGE_SECONDS,
    )
