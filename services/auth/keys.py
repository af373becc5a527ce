"""The two keys for access tokens: how they are sealed, cached and rotated."""

import asyncio
import time
from dataclasses import dataclass, field
from secrets import token_urlsafe

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from mesh.database import Database
from mesh.errors import Unavailable
from services.auth.domain import SealedKey
from services.auth.repository.signing_keys import SigningKeyRepository
from services.auth.sealing import Sealing, sealing
from services.auth.settings import Settings

_CACHE_SECONDS = 5
_KEY_ID_BYTES = 12


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair for access tokens."""

    id: str
    private: EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> EllipticCurvePublicKey:
        return self.private.public_key()


class SigningKeys:
    """The two live keys in the database, read again every few seconds, so that all replicas notice a rotation.

    One key signs. The other either signs next, and is published beforehand; or it signed before, and stays published until the last
    token that it signed has expired. After that, a new key replaces it.
    """

    def __init__(self, repository: SigningKeyRepository, sealing: Sealing) -> None:
        self._repository = repository
        self._sealing = sealing
        self._pair: list[SigningKey] = []
        self._stale_at = float("-inf")
        self._reading = asyncio.Lock()

    async def pair(self) -> list[SigningKey]:
        """Both keys, the one that signs first. Raises `Unavailable` if none was ever read."""
        if time.monotonic() >= self._stale_at:
            async with self._reading:
                if time.monotonic() >= self._stale_at:
                    await self._read()
        return self._pair

    async def key(self, kid: str) -> EllipticCurvePublicKey | None:
        """The public key with this id, or None."""
        return next((key.public for key in await self.pair() if key.id == kid), None)

    async def replenish(self) -> None:
        """Creates the keys if there are none yet, and replaces the one that no valid token needs. Raises `WrongSealingSecret`."""
        # A key sealed with another secret than the rest would be of no use to the other replicas.
        for key in await self._repository.pair():
            self._unseal(key)
        await self._repository.replenish(self._create)

    async def rotate(self) -> None:
        """Makes the waiting key the one that signs. Raises `KeyStillNeeded` if the last rotation is too recent for one to be waiting."""
        await self.replenish()
        await self._repository.rotate()

    async def reseal(self) -> None:
        """Seals all keys with the current secret. Raises `WrongSealingSecret` if one is sealed with neither."""
        await self._repository.reseal([self._seal(self._unseal(key)) for key in await self._repository.pair()])

    async def drop(self, id: str) -> None:
        """Makes all tokens that a key has signed invalid at once, and replaces the key. Raises `UnknownSigningKey`."""
        await self.replenish()
        await self._repository.drop(id)
        await self.replenish()

    async def _read(self) -> None:
        try:
            sealed = await self._repository.pair()
            if len(sealed) < 2:
                await self.replenish()
                sealed = await self._repository.pair()
            self._pair = [self._unseal(key) for key in sealed]
        except Unavailable:
            # During an outage of the database, tokens are still verified, and those of services issued.
            if not self._pair:
                raise
        self._stale_at = time.monotonic() + _CACHE_SECONDS

    def _create(self) -> SealedKey:
        return self._seal(SigningKey(token_urlsafe(_KEY_ID_BYTES), generate_private_key(SECP256R1())))

    def _seal(self, key: SigningKey) -> SealedKey:
        plain = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return SealedKey(key.id, self._sealing.seal(plain, key.id))

    def _unseal(self, key: SealedKey) -> SigningKey:
        private = load_der_private_key(self._sealing.unseal(key.sealed_private_key, key.id), password=None)
        assert isinstance(private, EllipticCurvePrivateKey)  # noqa: S101 created by `_create`
        return SigningKey(key.id, private)


def signing_keys(database: Database, settings: Settings) -> SigningKeys:
    """The keys in the database, sealed as the settings say."""
    return SigningKeys(SigningKeyRepository(database), sealing("signing keys", settings))
