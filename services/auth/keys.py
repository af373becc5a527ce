"""The two live keys that sign access tokens, and how they take turns."""

import asyncio
import time
from dataclasses import dataclass, field
from secrets import token_bytes, token_urlsafe

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from jwt.algorithms import ECAlgorithm

from hashiramart.auth.v1 import auth_pb2
from mesh.errors import Unavailable
from services.auth.domain import SealedKey
from services.auth.repository import KeyRepository


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs access tokens, or that did or will."""

    id: str
    private: EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> EllipticCurvePublicKey:
        return self.private.public_key()


class KeysNotOpenedError(Exception):
    """The keys in the database were sealed with another secret."""

    def __init__(self) -> None:
        super().__init__("AUTH_SECRET is not the secret that the signing keys in the database were sealed with")


class SigningKeys:
    """The live pair, as the database has it: read again every few seconds, so that all replicas notice a rotation.

    One key signs. The other will sign next and is published before it does; or it signed before, and stays published until the
    last token that it signed has expired. Then a new one takes its place.
    """

    def __init__(self, repository: KeyRepository, secret: str) -> None:
        self._repository = repository
        self._cipher = AESGCM(HKDF(SHA256(), length=32, salt=None, info=b"hashiramart auth signing keys").derive(secret.encode()))
        self._pair: list[SigningKey] = []
        self._stale_at = float("-inf")
        self._reading = asyncio.Lock()

    async def pair(self) -> list[SigningKey]:
        """Both keys, the one that signs first."""
        if time.monotonic() >= self._stale_at:
            async with self._reading:
                if time.monotonic() >= self._stale_at:
                    await self._read()
        return self._pair

    async def key(self, kid: str) -> EllipticCurvePublicKey | None:
        """What verifies a token that names this key."""
        return next((key.public for key in await self.pair() if key.id == kid), None)

    async def settle(self) -> None:
        """Makes the pair if there is none yet, and replaces the key that no token needs any more."""
        # Only by who can open the others: under another secret, a new key would be of use to nobody.
        for key in await self._repository.pair():
            self._open(key)
        await self._repository.settle(self._new)

    async def rotate(self) -> None:
        """Lets the key sign that was to sign next. Raises `KeyStillNeededError` so soon after another rotation that there is none."""
        await self.settle()
        await self._repository.rotate()

    async def _read(self) -> None:
        try:
            sealed = await self._repository.pair()
            if len(sealed) < 2:
                await self.settle()
                sealed = await self._repository.pair()
            self._pair = [self._open(key) for key in sealed]
        except Unavailable:
            # Tokens can be verified, and those of services issued, while the database is away.
            if not self._pair:
                raise
        self._stale_at = time.monotonic() + _FRESH_SECONDS

    def _new(self) -> SealedKey:
        id = token_urlsafe(12)
        plain = generate_private_key(SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        nonce = token_bytes(_NONCE_BYTES)
        return SealedKey(id, nonce + self._cipher.encrypt(nonce, plain, id.encode()))

    def _open(self, key: SealedKey) -> SigningKey:
        nonce, content = key.sealed_private_key[:_NONCE_BYTES], key.sealed_private_key[_NONCE_BYTES:]
        try:
            private = load_der_private_key(self._cipher.decrypt(nonce, content, key.id.encode()), password=None)
        except InvalidTag:
            raise KeysNotOpenedError from None
        assert isinstance(private, EllipticCurvePrivateKey)  # noqa: S101 we made it
        return SigningKey(key.id, private)


def web_key(key: SigningKey) -> auth_pb2.SigningKey:
    """The public part of a key, as a JSON Web Key."""
    return auth_pb2.SigningKey(kid=key.id, use="sig", alg="ES256", **ECAlgorithm.to_jwk(key.public, as_dict=True))


_FRESH_SECONDS = 5
_NONCE_BYTES = 12
