"""MLflow's server behind a sign-in: `uvicorn --factory stack.engines.mlflow_sign_in:create`.

MLflow's own (`mlflow server --app-name basic-auth`) hashes a password at each request, keeps accounts in tables that only its API changes,
and checks routes one by one. Here no route is open that is not listed; the accounts are few, and their passwords random.
"""

import hashlib
import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, SecretStr
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mesh.settings import EnvironmentSettings, read

# Tells nothing, and is asked before anybody signs in.
OPEN = "/health"
READS = ("GET", "HEAD")
# All that a service changes: the promotion of a version and its aliases.
PROMOTIONS = frozenset(
    (method, f"/api/2.0/mlflow/{path}")
    for method, path in (
        ("POST", "model-versions/set-tag"),
        ("POST", "registered-models/alias"),
        ("DELETE", "registered-models/alias"),
    )
)
# The accounts that may do everything; the others read and promote.
FULL_ACCESS = ("operator", "training")

Password = Annotated[SecretStr, Field(min_length=32)]


class AccountPasswords(EnvironmentSettings, env_prefix="MLFLOW_"):
    """The passwords, read from the environment as `MLFLOW_..._PASSWORD`."""

    operator_password: Password
    """Of people, in a browser or by MLflow's client."""
    training_password: Password
    """Of the pipeline and the jobs worker."""
    recommender_password: Password
    """Of the recommender."""
    forecaster_password: Password
    """Of the forecaster."""


class MlflowSignIn:
    """An application that only the accounts reach, by HTTP Basic.

    digests: the SHA-256 of each account's `name:password`
    """

    def __init__(self, app: ASGIApp, digests: Mapping[str, bytes]) -> None:
        self._app = app
        self._digests = digests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] == OPEN):
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            # Before it is accepted, a WebSocket is closed by 403.
            return await send({"type": "websocket.close", "code": 1008})
        account = self._account(Headers(scope=scope).get("authorization", ""))
        if account is None:
            headers = {"www-authenticate": 'Basic realm="MLflow", charset="UTF-8"'}
            return await PlainTextResponse("Sign in to MLflow.\n", 401, headers)(scope, receive, send)
        if not _may(account, scope["method"], scope["path"]):
            return await PlainTextResponse(f"The account {account} may not do this.\n", 403)(scope, receive, send)
        return await self._app(scope, receive, send)

    def _account(self, header: str) -> str | None:
        """The account that the header `Authorization` proves, or None."""
        scheme, _, proof = header.partition(" ")
        try:
            digest = hashlib.sha256(b64decode(proof.strip(), validate=True)).digest()
        except (Base64Error, ValueError):
            return None
        matches = [account for account, known in self._digests.items() if hmac.compare_digest(known, digest)]
        return matches[0] if matches and scheme.lower() == "basic" else None


def create() -> MlflowSignIn:
    """MLflow's server with the accounts of the environment."""
    # Imported here: it reads the environment of the server.
    from mlflow.server.fastapi_app import app

    passwords = {name.removesuffix("_password"): password.get_secret_value() for name, password in read(AccountPasswords)}
    return MlflowSignIn(app, {name: hashlib.sha256(f"{name}:{password}".encode()).digest() for name, password in passwords.items()})


def _may(account: str, method: str, path: str) -> bool:
    return account in FULL_ACCESS or method in READS or (method, path) in PROMOTIONS
