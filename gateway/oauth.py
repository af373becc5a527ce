"""The token endpoint in the terms of OAuth 2.0 (RFC 6749): forms, a client's secret in a header, error codes of its own."""

import binascii
from base64 import b64decode
from typing import Any
from urllib.parse import unquote_plus

import orjson
from google.rpc.status_pb2 import Status

from gateway import errors
from gateway.asgi import JSON_HEADERS, Headers, HttpResponse

TOKEN_RPC = "/hashiramart.auth.v1.AuthService/IssueToken"  # noqa: S105 - a name
NO_STORE: Headers = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]

_ERRORS = {
    "INVALID_GRANT": "invalid_grant",
    "INVALID_CLIENT": "invalid_client",
    # OAuth has no code for it; this one is that of other servers.
    "SECOND_FACTOR_REQUIRED": "mfa_required",
    "INVALID_SECOND_FACTOR": "invalid_grant",
    "UNSUPPORTED_GRANT_TYPE": "unsupported_grant_type",
    "INVALID_REQUEST": "invalid_request",
    "MALFORMED_REQUEST": "invalid_request",
}
_ERRORS_BY_HTTP_STATUS = {503: "temporarily_unavailable", 504: "temporarily_unavailable"}
ERROR_CODES = tuple(dict.fromkeys((*_ERRORS.values(), *_ERRORS_BY_HTTP_STATUS.values(), "server_error")))
"""All codes that `error` may have."""


def error_response(status: Status) -> HttpResponse:
    """An error in the terms of RFC 6749, section 5.2. One that it has no term for keeps its HTTP status."""
    http_status, headers, _ = errors.error_response(status)
    headers = [header for header in headers if header[0] == b"retry-after"]
    error = _ERRORS.get(errors.reason_of(status))
    if error == "invalid_client":
        http_status, headers = 401, [(b"www-authenticate", b'Basic realm="hashiramart"')]
    elif error:
        http_status = 400
    else:
        error = _ERRORS_BY_HTTP_STATUS.get(http_status, "invalid_request" if http_status < 500 else "server_error")
    body = orjson.dumps({"error": error, "error_description": _description(status.message)})
    return HttpResponse(http_status, [*JSON_HEADERS, *NO_STORE, *headers], body)


def fill_client(request: Any, authorization: str) -> None:
    """Takes the client's id and secret from HTTP Basic (section 2.3.1) if the body has none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        client_id, _, secret = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    if client_id and not request.client_id:
        request.client_id, request.client_secret = unquote_plus(client_id), unquote_plus(secret)


def _description(text: str) -> str:
    """A message in the characters that `error_description` may have."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" if c == '"' else "?" for c in text)
