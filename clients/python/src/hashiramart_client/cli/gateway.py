"""Calls of the REST API."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
import httpx
from google.rpc import code_pb2

from hashiramart_client.cli.requests import HttpRequest

# The exit codes of failed calls begin here, as grpcurl's do.
FIRST_EXIT_CODE = 64

_CONNECT_SECONDS = 5
_RESPONSE_SECONDS = 60
_LINES = "application/x-ndjson"
# OAuth has errors of its own, in place of those of gRPC.
_OAUTH_CODES = {400: "UNAUTHENTICATED", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


@dataclass(frozen=True)
class Connection:
    """Where the gateway is, and how to reach it."""

    server: str
    tls_ca: Path | None
    tls_certificate: Path | None
    tls_key: Path | None
    timeout: float | None
    """The deadline of a call in seconds; None for the gateway's own."""


class CallFailed(click.ClickException):
    """A call that failed."""

    def __init__(self, code: str, reason: str, message: str, violations: list[tuple[str, str]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.violations = violations or []
        """Fields and what is wrong with them."""
        self.hint = ""

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has a class variable
        return FIRST_EXIT_CODE + int(code_pb2.Code.Value(self.code))

    def show(self, file: Any = None) -> None:
        out = file or sys.stderr
        violations = [": ".join(violation) for violation in self.violations]
        message = violations[0] if len(violations) == 1 else self.message
        print(f"error: {message} ({', '.join(filter(None, (self.code, self.reason)))})", file=out)
        for violation in violations[1:] and violations:
            print(f"  {violation}", file=out)
        if self.hint:
            print(f"hint: {self.hint}", file=out)


class Gateway:
    """A client of a gateway, which a `with` block closes. Raises `CallFailed` for every call that fails."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._headers = {"accept": "application/json"}
        if connection.timeout is not None:
            self._headers["grpc-timeout"] = f"{max(int(connection.timeout * 1000), 1)}m"
        self._http = httpx.Client(base_url=connection.server, verify=_verification(connection), follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._http.close()

    def authorize(self, access_token: str) -> None:
        """Sends an access token with the calls that follow."""
        self._headers["authorization"] = f"Bearer {access_token}"

    def call(self, request: HttpRequest) -> Any:
        """The JSON of a response."""
        content, headers = self._content(request.body)
        with self._failures():
            response = self._http.request(
                request.http_method,
                request.path,
                content=content,
                headers=headers,
                timeout=self._timeout(_RESPONSE_SECONDS),
            )
        return _json(response)

    def send_lines(self, request: HttpRequest, lines: Iterable[bytes]) -> Any:
        """Sends a stream of requests, as they come; returns the JSON of the response."""
        headers = self._headers | {"content-type": _LINES}
        with self._failures():
            response = self._http.request(
                request.http_method, request.path, content=iter(lines), headers=headers, timeout=self._timeout(None)
            )
        return _json(response)

    def receive_lines(self, request: HttpRequest) -> Iterator[Any]:
        """The messages of a stream, as they come. The request is cancelled when the iterator is closed."""
        content, headers = self._content(request.body)
        headers["accept"] = _LINES
        with (
            self._failures(),
            self._http.stream(request.http_method, request.path, content=content, headers=headers, timeout=self._timeout(None)) as response,
        ):
            if response.is_error:
                response.read()
                _json(response)
            for line in response.iter_lines():
                message = json.loads(line)
                if set(message) == {"error"} and "code" in message["error"]:
                    raise _failure(message["error"])
                yield message

    def _content(self, body: Any) -> tuple[bytes | None, dict[str, str]]:
        """The bytes of a body, and the headers of a call with it."""
        if body is None:
            return None, {**self._headers}
        if isinstance(body, bytes):
            return body, self._headers | {"content-type": "application/octet-stream"}
        return json.dumps(body).encode(), self._headers | {"content-type": "application/json"}

    def _timeout(self, read: float | None) -> httpx.Timeout:
        return httpx.Timeout(
            _CONNECT_SECONDS, read=read if self._connection.timeout is None else self._connection.timeout + _CONNECT_SECONDS, write=None
        )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        server = self._connection.server
        try:
            yield
        except httpx.TimeoutException:
            raise CallFailed("DEADLINE_EXCEEDED", "", f"{server} did not answer in time") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            failure = CallFailed("UNAVAILABLE", "", f"{server} cannot be reached: {error}")
            failure.hint = (
                "Is this the gateway's URL? --server or HASHIRAMART_SERVER names another, --tls-ca the authority of its certificate."
            )
            raise failure from None


def _verification(connection: Connection) -> Any:
    import ssl

    if not connection.server.startswith("https:"):
        return False
    try:
        context = ssl.create_default_context(cafile=connection.tls_ca)
        if connection.tls_certificate:
            context.load_cert_chain(connection.tls_certificate, connection.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise click.UsageError(f"--tls-ca, --tls-certificate, --tls-key: cannot be read: {error}") from None
    return context


def _json(response: httpx.Response) -> Any:
    """The JSON of a response. Raises `CallFailed` if it is an error."""
    try:
        content = response.json()
    except ValueError:
        content = None
    if not response.is_error and content is not None:
        return content
    if isinstance(content, dict) and isinstance(content.get("error"), str):
        code = _OAUTH_CODES.get(response.status_code, "UNKNOWN")
        raise CallFailed(code, content["error"], str(content.get("error_description", "")))
    if isinstance(content, dict) and "code" in content:
        raise _failure(content)
    code = "UNAVAILABLE" if response.status_code >= 500 else "UNKNOWN"
    raise CallFailed(code, "", f"{response.url.copy_with(query=None)} answered {response.status_code} and is not a gateway of HashiraMart")


def _failure(status: dict[str, Any]) -> CallFailed:
    """The error that a `google.rpc.Status` describes."""
    details = {detail["@type"].rpartition(".")[2]: detail for detail in status.get("details", ())}
    violations = [(each["field"], each["description"]) for each in details.get("BadRequest", {}).get("field_violations", ())]
    code = code_pb2.Code.Name(status["code"]) if status["code"] in code_pb2.Code.values() else "UNKNOWN"
    return CallFailed(code, details.get("ErrorInfo", {}).get("reason", ""), status["message"], violations)
