"""Access tokens: JSON Web Tokens, which every service verifies by itself."""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from secrets import token_urlsafe
from uuid import UUID

import jwt

from mesh.identity import Role
from services.auth.domain import ACCESS_TOKEN_LIFETIME, User
from services.auth.keys import SigningKeys

_TOKEN_ID_BYTES = 12


class TokenIssuer:
    """Issues access tokens."""

    def __init__(self, issuer: str, audience: str, keys: SigningKeys) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    async def user_token(self, user: User, role: Role, sign_in_id: UUID, issue_time: float) -> str:
        """A token for a user, which names the sign-in that it belongs to.

        role: the one that the token carries
        issue_time: in Unix time, with a fraction: a revocation in the same second has to be earlier or later
        """
        claims = {"sub": str(user.id), "role": role.value, "sid": str(sign_in_id)}
        if user.customer_number:
            claims["customer_number"] = user.customer_number
        return await self._sign(claims, issue_time)

    async def visitor_token(self, visitor_id: UUID) -> str:
        """A token for a visitor."""
        return await self._sign({"sub": str(visitor_id), "role": Role.VISITOR.value}, time.time())

    async def service_token(self, name: str) -> str:
        """A token for a service."""
        return await self._sign({"sub": name, "role": Role.SERVICE.value}, time.time())

    async def system_token(self, name: str, permissions: Collection[str]) -> str:
        """A token for an external system, which names its permissions."""
        return await self._sign({"sub": name, "role": Role.SYSTEM.value, "permissions": sorted(permissions)}, time.time())

    async def proof(self) -> Sequence[tuple[str, str]]:
        """The metadata that authenticates auth to the services that it calls."""
        return [("authorization", f"Bearer {await self.service_token('auth')}")]

    async def _sign(self, claims: Mapping[str, object], issue_time: float) -> str:
        key, _ = await self._keys.pair()
        expiry = math.ceil(issue_time + ACCESS_TOKEN_LIFETIME.total_seconds())
        common = {"iss": self._issuer, "aud": self._audience, "iat": issue_time, "exp": expiry, "jti": token_urlsafe(_TOKEN_ID_BYTES)}
        return jwt.encode({**common, **claims}, key.private, algorithm="ES256", headers={"kid": key.id})


def sign_in_id(access_token: str) -> UUID:
    """The sign-in that a user's access token, already verified, belongs to."""
    return UUID(jwt.decode(access_token, options={"verify_signature": False})["sid"])
