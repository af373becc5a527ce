"""The console: its pages, and its sign-in, whose refresh token is a cookie that no script can read.

The console calls the contracts' paths as every other client does. Only the cookie is its own, since a page has no safe place for a secret.
"""

import binascii
import gzip
import mimetypes
import secrets
from base64 import b64decode
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import grpc
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel

from gateway.asgi import Event
from gateway.errors import GatewayError, error_status
from gateway.exchange import Exchange
from gateway.oauth import TOKEN_RPC
from hashiramart.auth.v1 import auth_pb2
from mesh.client_address import Networks

PATH = "/console"
COOKIE = "console_refresh_token"
# A page of another origin cannot send it: it is none of the headers that the gateway lets such pages send.
CSRF_HEADER = "x-console"
TIMEOUT_SECONDS = 10.0
AUTH_SERVICE = "hashiramart.auth.v1.AuthService"
# Of the second factor, which HTTP Basic has no place for; percent-encoded.
CODE_HEADER = "x-one-time-code"
# The page's place for the nonce of the policy, which allows the styles that components write.
_NONCE = "__NONCE__"
_REVOKE_RPC = "/hashiramart.auth.v1.AuthService/RevokeToken"
_SESSION_PATH = f"{PATH}/session"
# As long as a refresh token lives at most; the auth service decides when it ends.
_COOKIE_SECONDS = 30 * 24 * 3600
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Fonts are compressed already.
_COMPRESSED = (".css", ".js", ".svg")
_HEADERS = {"referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin"}
_MISSING = """<!doctype html><html lang="en"><title>The console is not built · HashiraMart</title>
<h1>The console is not built</h1>
<p>It takes Node 22.19 or newer. Run <code>make console-build</code>, then load this page again.</p>
<p><a href="/docs">The API's documentation</a> needs no build.</p></html>"""


class ConsoleSession(BaseModel):
    """A signed-in console: the access token, which the page keeps in memory alone."""

    access_token: str
    expires_in: int


class TokenClient:
    """Gets and revokes tokens at the auth service, in the name of the browser that asks."""

    def __init__(self, channel: grpc.aio.Channel, trusted_proxies: Networks) -> None:
        self._issue: Any = channel.unary_unary(
            TOKEN_RPC, auth_pb2.IssueTokenRequest.SerializeToString, response_deserializer=auth_pb2.Token.FromString
        )
        self._revoke: Any = channel.unary_unary(_REVOKE_RPC, auth_pb2.RevokeTokenRequest.SerializeToString)
        self._trusted_proxies = trusted_proxies

    async def issue(self, request: Request, grant: auth_pb2.IssueTokenRequest) -> auth_pb2.Token:
        token: auth_pb2.Token = await self._issue(grant, timeout=TIMEOUT_SECONDS, metadata=self._metadata(request))
        return token

    async def revoke(self, request: Request, token: str) -> None:
        await self._revoke(auth_pb2.RevokeTokenRequest(token=token), timeout=TIMEOUT_SECONDS, metadata=self._metadata(request))

    def _metadata(self, request: Request) -> grpc.aio.Metadata:
        return Exchange(request.scope, request.receive, _no_response, self._trusted_proxies).metadata()


def router(folder: Path, tokens: TokenClient) -> APIRouter:
    """The paths of the console, whose files `make console-build` writes to the folder."""
    routes = APIRouter(include_in_schema=False)
    # The pages come last, as any path below the console's is one of them.
    _add_session(routes, tokens)
    _add_pages(routes, folder)
    return routes


def _add_pages(routes: APIRouter, folder: Path) -> None:
    @routes.get("/")
    async def get_root(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return RedirectResponse(f"{PATH}/", HTTPStatus.TEMPORARY_REDIRECT)

    @routes.get(f"{PATH}/assets/{{name}}")
    def get_asset(request: Request, name: str) -> Response:
        file = folder / "assets" / name
        if not file.is_file():
            raise HTTPException(HTTPStatus.NOT_FOUND)
        # Its name has a hash of its content.
        headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
        if file.suffix not in _COMPRESSED or "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(file, headers=headers)
        return Response(_gzip(file), headers=headers | {"content-encoding": "gzip"}, media_type=mimetypes.guess_type(name)[0])

    # Each page has an address of its own, and is the one document with another view.
    @routes.get(PATH)
    @routes.get(f"{PATH}/{{page:path}}")
    async def get_page() -> Response:
        nonce = secrets.token_urlsafe(16)
        headers = _HEADERS | {"content-security-policy": _POLICY.format(nonce=nonce), "cache-control": "no-store"}
        document = folder / "index.html"
        if not document.is_file():
            return HTMLResponse(_MISSING, HTTPStatus.SERVICE_UNAVAILABLE, headers)
        return HTMLResponse(document.read_text().replace(_NONCE, nonce), headers=headers)


@cache
def _gzip(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), mtime=0)


def _add_session(routes: APIRouter, tokens: TokenClient) -> None:
    guarded = [Depends(_require_own_page)]

    @routes.post(_SESSION_PATH, dependencies=guarded)
    async def sign_in(request: Request) -> Response:
        username, password = _credentials(request.headers.get("authorization", ""))
        code = unquote(request.headers.get(CODE_HEADER, ""))
        grant = auth_pb2.IssueTokenRequest(grant_type="password", username=username, password=password, one_time_code=code)
        return _signed_in(request, await tokens.issue(request, grant))

    @routes.post(f"{_SESSION_PATH}/refresh", dependencies=guarded)
    async def refresh(request: Request, cookie: _Cookie) -> Response:
        grant = auth_pb2.IssueTokenRequest(grant_type="refresh_token", refresh_token=cookie)
        return _signed_in(request, await tokens.issue(request, grant))

    @routes.delete(_SESSION_PATH, dependencies=guarded)
    async def sign_out(request: Request) -> Response:
        if cookie := request.cookies.get(COOKIE):
            await tokens.revoke(request, cookie)
        response = JSONResponse({})
        response.delete_cookie(COOKIE, path=_SESSION_PATH)
        return response


async def _no_response(_: Event) -> None:
    """The response is the route's own."""


def _require_own_page(request: Request) -> None:
    """Raises GatewayError unless the request comes from the console's own page (CSRF)."""
    if CSRF_HEADER not in request.headers or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        message = f"only the console's own page may call this, and says so in the header {CSRF_HEADER}"
        raise GatewayError(error_status(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", message, header=CSRF_HEADER))


def _credentials(authorization: str) -> tuple[str, str]:
    """The e-mail address and password of HTTP Basic (RFC 7617) in UTF-8. Raises GatewayError if there are none."""
    scheme, _, value = authorization.partition(" ")
    try:
        username, _, password = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        username, password = "", ""
    if scheme.lower() != "basic" or not username:
        message = "authorization: expected an e-mail address and a password by HTTP Basic, in UTF-8"
        raise GatewayError(error_status(grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST", message, field="authorization"))
    return username, password


def _refresh_token(request: Request) -> str:
    """The refresh token of the cookie. Raises GatewayError if there is none."""
    if not (cookie := request.cookies.get(COOKIE)):
        raise GatewayError(error_status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", "sign in first"))
    return cookie


_Cookie = Annotated[str, Depends(_refresh_token)]


def _signed_in(request: Request, token: auth_pb2.Token) -> Response:
    body = ConsoleSession(access_token=token.access_token, expires_in=token.expires_in)
    response = JSONResponse(body.model_dump(), headers={"cache-control": "no-store"})
    encrypted = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    response.set_cookie(
        COOKIE, token.refresh_token, max_age=_COOKIE_SECONDS, path=_SESSION_PATH, secure=encrypted, httponly=True, samesite="strict"
    )
    return response
