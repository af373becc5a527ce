"""Exchanges OAuth 2.0 grants for tokens (RFC 6749)."""

import base64
import hashlib
import hmac
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote_plus

import structlog

from mesh.errors import Unauthenticated
from mesh.identity import Role
from services.auth.credentials import Credentials
from services.auth.domain import Client, InvalidGrant, InvalidSecondFactor, SecondFactorRequired, User
from services.auth.refresh_tokens import RefreshToken
from services.auth.repository.sign_ins import SignInRepository
from services.auth.second_factors import SecondFactors
from services.auth.tokens import TokenIssuer

_log = structlog.get_logger(__name__)


class IssuedTokens(NamedTuple):
    """The tokens that a grant was exchanged for."""

    access_token: str
    role: Role
    refresh_token: str = ""
    """Empty for a service, which has its secret."""
    user: User | None = None
    """The user who has signed in."""


class Grants:
    """Exchanges valid grants for tokens, and revokes refresh tokens.

    service_secrets: the secret of each service, by its name
    permissions: those of each external system, by its name
    second_factor_roles: those that require a second factor
    """

    def __init__(
        self,
        credentials: Credentials,
        second_factors: SecondFactors,
        sign_ins: SignInRepository,
        issuer: TokenIssuer,
        service_secrets: Mapping[str, str],
        permissions: Mapping[str, Collection[str]],
        second_factor_roles: Collection[Role],
    ) -> None:
        self._credentials = credentials
        self._second_factors = second_factors
        self._sign_ins = sign_ins
        self._issuer = issuer
        self._service_secrets = {name: _digest(secret) for name, secret in service_secrets.items()}
        self._permissions = permissions
        self._second_factor_roles = second_factor_roles

    async def exchange_password(self, email: str, password: str, one_time_code: str, client: Client) -> IssuedTokens:
        """Signs a user in.

        Raises `InvalidGrant`, `SecondFactorRequired`, `InvalidSecondFactor`, `TooManySignIns`, `TooManyCodes` or `ResourceExhausted`.
        """
        begin = time.time()
        user = await self._credentials.verify(email, password, client.address)
        if user is not None and user.has_second_factor:
            if not one_time_code:
                raise SecondFactorRequired
            if not await self._second_factors.accept(user, one_time_code):
                raise InvalidSecondFactor
        token = RefreshToken.new()
        if user is None or not await self._sign_ins.begin(user, token, client):
            raise InvalidGrant
        _log.info("signed in", user_id=str(user.id))
        return await self._issue(user, token, begin)

    async def exchange_refresh_token(self, text: str) -> IssuedTokens:
        """Continues a sign-in. A refresh token that is spent or expired ends it instead, and raises `InvalidGrant`."""
        spent = RefreshToken.parse(text)
        if spent is None:
            raise InvalidGrant
        begin, fresh = time.time(), spent.next()
        user = await self._sign_ins.exchange(spent, fresh)
        if user is None:
            if owner_id := await self._sign_ins.end(spent):
                _log.warning("sign-in ended by an expired or spent refresh token", user_id=str(owner_id))
            raise InvalidGrant
        return await self._issue(user, fresh, begin)

    async def exchange_client_credentials(self, name: str, secret: str) -> IssuedTokens:
        """Authenticates a service or an external system. Raises `Unauthenticated`."""
        if not hmac.compare_digest(self._service_secrets.get(name, b""), _digest(secret)):
            _log.warning("invalid client credentials", client_id=name)
            raise Unauthenticated("INVALID_CLIENT", "no service has this client id and secret")
        if name in self._permissions:
            return IssuedTokens(await self._issuer.system_token(name, self._permissions[name]), Role.SYSTEM)
        return IssuedTokens(await self._issuer.service_token(name), Role.SERVICE)

    async def revoke(self, text: str) -> None:
        """Ends the sign-in that a refresh token belongs to, if there is one."""
        if token := RefreshToken.parse(text):
            await self._sign_ins.end(token)

    async def _issue(self, user: User, token: RefreshToken, begin: float) -> IssuedTokens:
        """begin: a time before the user was read, so that a change since then revokes the token"""
        role = Role.CUSTOMER if user.lacks_second_factor(self._second_factor_roles) else user.role
        return IssuedTokens(await self._issuer.user_token(user, role, token.sign_in_id, begin), role, token.text, user)


def basic_credentials(authorization: str) -> tuple[str, str]:
    """The client id and secret in a header of HTTP Basic authentication, encoded as in RFC 6749; empty if there are none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
            return unquote_plus(name), unquote_plus(secret)
    return "", ""


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
