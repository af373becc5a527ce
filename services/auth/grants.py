"""Grants: what is offered for an access token, and what it is worth."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

import structlog

from mesh.errors import InvalidArgument, Unauthenticated
from services.auth.domain import InvalidGrant, User, email_address
from services.auth.passwords import Passwords, is_outdated
from services.auth.refresh_tokens import RefreshToken
from services.auth.repository import AttemptRepository, SignInRepository, UserRepository
from services.auth.throttle import Client, sign_ins_from, sign_ins_to
from services.auth.tokens import TokenIssuer

log = structlog.get_logger(__name__)


class Granted(NamedTuple):
    """What a grant was worth."""

    access_token: str
    role: str
    # Empty for a service, which has its secret.
    refresh_token: str = ""


class Credentials:
    """Whether somebody knows a password: found out slowly, and not often."""

    def __init__(self, users: UserRepository, attempts: AttemptRepository, passwords: Passwords) -> None:
        self._users = users
        self._attempts = attempts
        self._passwords = passwords

    async def check(self, email: str, password: str, client: Client) -> User | None:
        """The user with this e-mail address and password who may sign in. If there is none, that takes as long to find out."""
        email = _normalised(email)
        limits = sign_ins_to(email), sign_ins_from(client)
        with self._passwords.turn():
            await self._attempts.count(*limits)
            user = await self._users.find(email)
            matches = await self._passwords.verify(user.password_hash if user else None, password)
            if user is None or not matches or user.disabled:
                return None
            await self._attempts.forgive(*limits)
            if is_outdated(user.password_hash):
                user = await self._users.keep_hash(user, await self._passwords.hash(password))
            return user


class Grants:
    """Takes grants, and gives tokens for those that are good."""

    def __init__(
        self,
        credentials: Credentials,
        sign_ins: SignInRepository,
        issuer: TokenIssuer,
        service_secrets: Mapping[str, str],
    ) -> None:
        self._credentials = credentials
        self._sign_ins = sign_ins
        self._issuer = issuer
        self._service_secrets = {name: _digest(secret) for name, secret in service_secrets.items()}

    async def password(self, email: str, password: str, client: Client) -> Granted:
        """Signs a user in."""
        user = await self._credentials.check(email, password, client)
        token = RefreshToken.new()
        if user is None or not await self._sign_ins.begin(user, token):
            raise InvalidGrant
        log.info("signed in", user_id=str(user.id))
        return await self._granted(user, token)

    async def refresh_token(self, text: str) -> Granted:
        """Continues a sign-in, or ends it when the token is not the one that is good now."""
        spent = RefreshToken.parse(text)
        if spent is None:
            raise InvalidGrant
        fresh = spent.next()
        user = await self._sign_ins.exchange(spent, fresh)
        if user is None:
            if ended := await self._sign_ins.end(spent):
                log.warning("sign-in ended: its refresh token was expired or spent", user_id=str(ended))
            raise InvalidGrant
        return await self._granted(user, fresh)

    async def client_credentials(self, name: str, secret: str) -> Granted:
        """Lets a service in."""
        if not hmac.compare_digest(self._service_secrets.get(name, b""), _digest(secret)):
            log.warning("service refused", client_id=name)
            raise Unauthenticated("INVALID_CLIENT", "no service has this client id with this secret")
        return Granted(await self._issuer.for_service(name), "service")

    async def _granted(self, user: User, token: RefreshToken) -> Granted:
        return Granted(await self._issuer.for_user(user, token.sign_in_id), user.role, token.text)


def basic_credentials(authorization: str) -> tuple[str, str]:
    """The client id and secret of HTTP Basic authentication, as RFC 6749 writes them; empty if there are none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(name), unquote_plus(secret)


def _normalised(email: str) -> str:
    try:
        return email_address(email)
    except InvalidArgument:
        # Nobody has this address. That is not said: a sign-in with it fails as any other does.
        return email


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
