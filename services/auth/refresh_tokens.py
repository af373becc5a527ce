"""Refresh tokens: opaque, and good once."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from secrets import token_bytes
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A handle that stays the same as long as the user is signed in, and a secret that is good once.

    Nothing of it is kept but hashes. A handle that comes with another secret than the last shows that a spent token was used.
    """

    handle: bytes = field(repr=False)
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "RefreshToken":
        return cls(token_bytes(_HANDLE_BYTES), token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """The token that was written like this, or None if none can have been."""
        try:
            content = urlsafe_b64decode(text)
        except ValueError:
            return None
        token = cls(content[:_HANDLE_BYTES], content[_HANDLE_BYTES:])
        return token if len(content) == _HANDLE_BYTES + _SECRET_BYTES and token.text == text else None

    def next(self) -> "RefreshToken":
        """What this token is exchanged for."""
        return RefreshToken(self.handle, token_bytes(_SECRET_BYTES))

    @property
    def text(self) -> str:
        return urlsafe_b64encode(self.handle + self.secret).decode()

    @property
    def sign_in_id(self) -> UUID:
        """The sign-in, by a name that tells nobody the handle: access tokens carry it."""
        return UUID(bytes=hashlib.sha256(self.handle).digest()[:16])

    @property
    def secret_hash(self) -> bytes:
        return hashlib.sha256(self.secret).digest()


_HANDLE_BYTES = 16
_SECRET_BYTES = 32
