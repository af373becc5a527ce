"""The token endpoint as OAuth 2.0 has it: forms, a client's secret in the header, errors of its own (RFC 6749)."""

import binascii
from base64 import b64decode
from typing import Any
from urllib.parse import unquote_plus

import orjson
from google.rpc.status_pb2 import Status

from gateway import errors
from gateway.errors import Answer, Headers

TOKEN_RPC = "/hashiramart.auth.v1.AuthService/IssueToken"  # noqa: S105 - a name
NO_STORE: Headers = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]


def refusal(status: Status) -> Answer:
    """A refusal in the words of RFC 6749, section 5.2. What it has no word for keeps its HTTP status."""
    http_status, headers, _ = errors.answer(status)
    headers = [header for header in headers if header[0] == b"retry-after"]
    error = _ERRORS.get(errors.reason_of(status))
    if error == "invalid_client":
        http_status, headers = 401, [(b"www-authenticate", b'Basic realm="hashiramart"')]
    elif error:
        http_status = 400
    else:
        error = _ERRORS_OF_HTTP.get(http_status, "invalid_request" if http_status < 500 else "server_error")
    body = orjson.dumps({"error": error, "error_description": _described(status.message)})
    return Answer(http_status, [(b"content-type", b"application/json"), *NO_STORE, *headers], body)


def fill_client(request: Any, authorization: str) -> None:
    """A client may name itself and its secret by HTTP Basic (section 2.3.1) instead of in the form."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        client_id, _, secret = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    if client_id and not request.client_id:
        request.client_id, request.client_secret = unquote_plus(client_id), unquote_plus(secret)


_ERRORS = {
    "INVALID_GRANT": "invalid_grant",
    "INVALID_CLIENT": "invalid_client",
    "UNSUPPORTED_GRANT_TYPE": "unsupported_grant_type",
    "INVALID_REQUEST": "invalid_request",
    "MALFORMED_REQUEST": "invalid_request",
}
_ERRORS_OF_HTTP = {503: "temporarily_unavailable", 504: "temporarily_unavailable"}


def _described(text: str) -> str:
    """The characters that a description may have."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" if c == '"' else "?" for c in text)
