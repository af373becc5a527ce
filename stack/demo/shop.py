"""A running shop, as its people reach it: over REST."""

import json
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

Json = dict[str, Any]
TIMEOUT_SECONDS = 60


class Refused(Exception):
    """The shop does not do what was asked, and this is why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Account(NamedTuple):
    """What somebody signs in with."""

    email: str
    password: str


class Shop:
    """The shop at an address such as `http://127.0.0.1:8000`. Each call may raise `Refused`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self._http.aclose()

    async def sign_up(self, account: Account, name: str) -> None:
        """Makes a customer's account."""
        body = {"email": account.email, "password": account.password, "display_name": name}
        answered(await self._http.post("/users", json=body))

    async def sign_in(self, account: Account) -> "Caller":
        form = {"grant_type": "password", "username": account.email, "password": account.password}
        return Caller(self._http, answered(await self._http.post("/auth/token", data=form))["access_token"])


class Caller:
    """Somebody who has signed in. A token is good for minutes: sign in anew for each piece of work."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, **content: Any) -> Json:
        return answered(await self._http.request(method, path, headers=self._headers, **content))

    async def send_lines(self, path: str, messages: Iterable[Json]) -> Json:
        """Posts many messages at once, and has the one answer to them."""
        return await self.call("POST", path, content=b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def lines(self, path: str) -> AsyncIterator[Json]:
        """The messages of a stream, as they come."""
        async with self._http.stream("GET", path, headers=self._headers, timeout=None) as answer:
            if answer.is_error:
                await answer.aread()
                answered(answer)
            async for line in answer.aiter_lines():
                yield json.loads(line)


def answered(answer: httpx.Response) -> Json:
    """The content of an answer. Raises `Refused` for one that is none."""
    content: Json = answer.json()
    if "error" in content:  # as OAuth has it
        raise Refused(content["error"], content["error_description"])
    if answer.is_error:
        reasons = [detail["reason"] for detail in content["details"] if "reason" in detail]
        raise Refused(next(iter(reasons), ""), content["message"])
    return content
