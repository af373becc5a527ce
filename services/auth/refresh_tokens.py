"""Refresh tokens: opaque, and valid for one use."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from secrets import token_bytes
from uuid import UUID

_HANDLE_BYTES = 16
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A handle, which stays the same throughout a sign-in, and a secret that is valid for one use.

    Only hashes of either are stored. A known handle with another secret than the latest one shows that a spent token was used.
    """

    handle: bytes = field(repr=False)
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "RefreshToken":
        return cls(token_bytes(_HANDLE_BYTES), token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """The token that `text` is written from, or None if it is not written from any."""
        try:
            content = urlsafe_b64decode(text)
        except ValueError:
            return None
        token = cls(content[:_HANDLE_BYTES], content[_HANDLE_BYTES:])
        return token if len(content) == _HANDLE_BYTES + _SECRET_BYTES and token.text == text else None

    def next(self) -> "RefreshToken":
        """A token of the same sign-in, for which this one is exchanged."""
        return RefreshToken(self.handle, token_bytes(_SECRET_BYTES))

    @property
    def text(self) -> str:
        return urlsafe_b64encode(self.handle + self.secret).decode()

    @property
    def sign_in_id(self) -> UUID:
        """The id of the sign-in. Access tokens carry it, so it does not reveal the handle."""
        return UUID(bytes=hashlib.sha256(self.handle).digest()[:16])

    @property
    def secret_hash(self) -> bytes:
        return hashlib.sha256(self.secret).digest()
