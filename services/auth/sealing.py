"""Seals what the database keeps for auth alone, by AES-GCM with keys that are derived from AUTH_SECRET."""

from contextlib import suppress
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.auth.settings import Settings

_NONCE_BYTES = 12


class WrongSealingSecret(Exception):
    """Something in the database was sealed with another secret."""

    def __init__(self) -> None:
        super().__init__("AUTH_SECRET is not the secret that the signing keys in the database were sealed with")


class Sealing:
    """Seals with a secret, and opens what it or the secret before has sealed.

    purpose: what is sealed; each has a key of its own
    previous_secret: with which things may still be sealed, while the secret is being changed
    """

    def __init__(self, purpose: str, secret: str, previous_secret: str = "") -> None:
        self._cipher = _cipher(purpose, secret)
        self._ciphers = [self._cipher, *([_cipher(purpose, previous_secret)] if previous_secret else [])]

    def seal(self, content: bytes, owner: str) -> bytes:
        """owner: the id of the row, so that what is moved to another row cannot be opened"""
        nonce = token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, owner.encode())

    def unseal(self, sealed: bytes, owner: str) -> bytes:
        """Raises `WrongSealingSecret`."""
        for cipher in self._ciphers:
            with suppress(InvalidTag):
                return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        raise WrongSealingSecret


def sealing(purpose: str, settings: Settings) -> Sealing:
    """The sealing with the secrets of the settings."""
    return Sealing(purpose, settings.secret.get_secret_value(), settings.previous_secret.get_secret_value())


def _cipher(purpose: str, secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=f"hashiramart auth {purpose}".encode()).derive(secret.encode()))
