"""A client of the shop's REST API."""

import json
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

Json = dict[str, Any]
TIMEOUT_SECONDS = 60


class RestError(Exception):
    """An error response of the REST API."""

    def __init__(self, reason: str, message: str, retry_after_seconds: float = 0) -> None:
        """retry_after_seconds: 0 if the response does not say"""
        super().__init__(message)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Account(NamedTuple):
    """The credentials of a user."""

    email: str
    password: str


class ShopClient:
    """A client without a user, for a URL such as `http://127.0.0.1:8000`. Each call may raise `RestError`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self._http.aclose()

    async def sign_up(self, account: Account, name: str) -> None:
        """Creates a customer's account."""
        body = {"email": account.email, "password": account.password, "display_name": name}
        _content(await self._http.post("/users", json=body))

    async def sign_in(self, account: Account) -> "UserClient":
        tokens = await self.grant(grant_type="password", username=account.email, password=account.password)
        return self.with_token(tokens["access_token"])

    async def grant(self, **form: str) -> Json:
        """The tokens of a grant of any type."""
        return _content(await self._http.post("/auth/token", data=form))

    def with_token(self, token: str) -> "UserClient":
        return UserClient(self._http, token)


class UserClient:
    """A client with a user's access token. The token expires within minutes: sign in again for each piece of work."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, **content: Any) -> Json:
        return _content(await self._http.request(method, path, headers=self._headers, **content))

    async def send_lines(self, path: str, messages: Iterable[Json]) -> Json:
        """Posts messages as JSON lines, and returns the response to all of them."""
        return await self.call("POST", path, content=b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def lines(self, path: str) -> AsyncIterator[Json]:
        """Yields the messages of a stream as they arrive."""
        async with self._http.stream("GET", path, headers=self._headers, timeout=None) as response:
            if response.is_error:
                await response.aread()
                _content(response)
            async for line in response.aiter_lines():
                yield json.loads(line)


def _content(response: httpx.Response) -> Json:
    """The JSON of a response. Raises `RestError` if it is an error."""
    content: Json = response.json()
    wait = float(response.headers.get("retry-after", 0))
    if "error" in content:  # OAuth's format
        raise RestError(content["error"], content["error_description"], wait)
    if response.is_error:
        reasons = [detail["reason"] for detail in content["details"] if "reason" in detail]
        raise RestError(next(iter(reasons), ""), content["message"], wait)
    return content
