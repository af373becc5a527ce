"""Tokens of callers, for the services under test."""

import time
import uuid
from collections.abc import Sequence

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key

from mesh.identity import Role
from mesh.settings import MeshSettings


class Issuer:
    """Issues access tokens as auth does, and has the key that verifies them."""

    def __init__(self, settings: MeshSettings) -> None:
        self._settings = settings
        self._id = str(uuid.uuid4())
        self._private = generate_private_key(SECP256R1())

    async def key(self, kid: str) -> EllipticCurvePublicKey | None:
        return self._private.public_key() if kid == self._id else None

    def token(
        self, role: Role, subject: str, customer_number: str = "", lifetime_seconds: int = 900, permissions: Sequence[str] = ()
    ) -> str:
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self._settings.jwt_issuer,
            "aud": self._settings.jwt_audience,
            "iat": now,
            "exp": now + lifetime_seconds,
            "jti": str(uuid.uuid4()),
        }
        if permissions:
            claims["permissions"] = list(permissions)
        if customer_number:
            claims["customer_number"] = customer_number
        return jwt.encode(claims | {"sub": subject, "role": role}, self._private, algorithm="ES256", headers={"kid": self._id})

    def metadata(
        self, role: Role, subject: str = "ann", customer_number: str = "", permissions: Sequence[str] = ()
    ) -> tuple[tuple[str, str], ...]:
        """The metadata of calls of this caller."""
        return (("authorization", f"Bearer {self.token(role, subject, customer_number, permissions=permissions)}"),)
