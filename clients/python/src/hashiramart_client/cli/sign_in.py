"""The sign-ins of the user of this computer, kept in a file that nobody else can read."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hashiramart_client.cli.gateway import CallFailed, Gateway
from hashiramart_client.cli.requests import HttpRequest

# An access token is renewed when it has less than this left.
_RENEWAL_SECONDS = 60
_LOCK_SECONDS = 30
# How the token endpoint asks for a one-time code.
_CODE_REQUIRED = "mfa_required"


class SignIns:
    """The tokens by server.

    file: where they are kept; its folder is made with the first sign-in
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def server(self) -> str | None:
        """The server of the last sign-in."""
        server: str | None = self._read().get("server")
        return server

    def sign_in(self, server: str, gateway: Gateway, email: str, password: str, read_code: Callable[[], str]) -> None:
        """Raises `CallFailed` if the credentials are wrong.

        read_code: asks for the one-time code of an account with a second factor
        """
        fields = {"grant_type": "password", "username": email, "password": password}
        try:
            tokens = gateway.call(_token_request(**fields))
        except CallFailed as error:
            if error.reason != _CODE_REQUIRED:
                raise
            tokens = gateway.call(_token_request(**fields, one_time_code=read_code()))
        with self._lock():
            self._write(server, _entry(tokens, email))

    def sign_out(self, server: str, gateway: Gateway) -> bool:
        """Revokes the refresh token and forgets the sign-in; returns whether there was one."""
        with self._lock():
            entry = self._entry(server)
            if entry is None:
                return False
            self._write(server, None)
        gateway.call(HttpRequest("POST", "/auth/revoke", {"token": entry["refresh_token"]}))
        return True

    def access_token(self, server: str, gateway: Gateway) -> str | None:
        """The access token for a server, renewed if it is about to expire; None if the user is not signed in there."""
        entry = self._entry(server)
        if entry is not None and _is_due(entry):
            # A refresh token that is used twice ends the sign-in.
            with self._lock():
                entry = self._entry(server)
                if entry is not None and _is_due(entry):
                    entry = self._renew(server, gateway, entry)
        return None if entry is None else str(entry["access_token"])

    def _renew(self, server: str, gateway: Gateway, entry: dict[str, Any]) -> dict[str, Any] | None:
        try:
            tokens = gateway.call(_token_request(grant_type="refresh_token", refresh_token=entry["refresh_token"]))
        except CallFailed as error:
            if error.code != "UNAUTHENTICATED":
                raise
            self._write(server, None)
            return None
        renewed = _entry(tokens, entry["email"])
        self._write(server, renewed)
        return renewed

    def _entry(self, server: str) -> dict[str, Any] | None:
        entry: dict[str, Any] | None = self._read().get("sign_ins", {}).get(server)
        return entry

    def _read(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return content

    def _write(self, server: str, entry: dict[str, Any] | None) -> None:
        content = self._read()
        sign_ins = {name: each for name, each in content.get("sign_ins", {}).items() if name != server}
        if entry is not None:
            content["server"], sign_ins[server] = server, entry
        fresh = self._file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content | {"sign_ins": sign_ins}, file, indent=1)
        fresh.replace(self._file)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keeps other commands of this user from changing the file."""
        from filelock import FileLock

        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(self._file.with_suffix(".lock"), timeout=_LOCK_SECONDS, mode=0o600):
            yield


def _token_request(**fields: str) -> HttpRequest:
    return HttpRequest("POST", "/auth/token", fields)


def _entry(tokens: dict[str, Any], email: str) -> dict[str, Any]:
    expire_time = time.time() + tokens["expires_in"]
    return {"email": email, "expire_time": expire_time, **{name: tokens[name] for name in ("access_token", "refresh_token")}}


def _is_due(entry: dict[str, Any]) -> bool:
    return bool(entry["expire_time"] - time.time() < _RENEWAL_SECONDS)
