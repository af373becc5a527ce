"""Signatures of versions: the registry and the store keep models, and the pipeline's key (Ed25519) decides which of them are ours.

Signed are the registered name and the provenance, thus the digest of the artifact and the verdict of the gate.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Annotated, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import StringConstraints

from ml.registry.errors import InvalidArtifact
from ml.registry.version import Provenance

# The tag of a version that holds its signature: two of them, separated by a space, while its verdict is being replaced.
TAG = "signature"

# A key as text: 32 bytes as base64url without padding.
KeyText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class Verifier:
    """Verifies signatures. key: the pipeline's public one"""

    def __init__(self, key: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(_decode(key))

    def verify(self, model: str, tags: Mapping[str, str]) -> None:
        """Raises `InvalidArtifact` unless the key signed what the tags of a version of this model say."""
        if not any(self._is_signature(_content(model, tags), signature) for signature in tags.get(TAG, "").split()):
            raise InvalidArtifact("it is not signed by this installation's pipeline")

    def _is_signature(self, content: bytes, signature: str) -> bool:
        try:
            self._key.verify(_decode(signature), content)
        except (Base64Error, InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """Signs versions. key: the pipeline's private one"""

    def __init__(self, key: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(_decode(key))

    def sign(self, model: str, tags: Mapping[str, str]) -> str:
        """The signature of what the tags of a version of this model say."""
        return _encode(self._key.sign(_content(model, tags)))

    @property
    def public_key(self) -> str:
        """The key that verifies the signatures."""
        return _encode(self._key.public_key().public_bytes_raw())

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.public_key)

    @classmethod
    def generate(cls) -> Self:
        """A signer with a key of its own."""
        return cls(_encode(Ed25519PrivateKey.generate().private_bytes_raw()))


def _content(model: str, tags: Mapping[str, str]) -> bytes:
    """What is signed: the tags as they are stored, so that no number is written in two ways."""
    return json.dumps([model, {name: value for name, value in tags.items() if name in Provenance.tag_names()}], sort_keys=True).encode()


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
