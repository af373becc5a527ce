"""Second factors: one-time codes of an authenticator app (TOTP, RFC 6238), and recovery codes."""

import hashlib
import hmac
import re
import time
from base64 import b32encode
from collections.abc import Callable, Iterator
from secrets import token_bytes
from typing import NamedTuple
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from mesh.client_address import ClientAddress
from services.auth.credentials import Credentials
from services.auth.domain import SecondFactorEnabled, SecondFactorNotEnrolled, User, WrongOneTimeCode, WrongPassword
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.second_factors import SecondFactorRepository
from services.auth.sealing import Sealing
from services.auth.throttle import codes_of

STEP_SECONDS = 30
PURPOSE = "second factors"

_DIGITS = 6
# Of a code that is shown now, and those before and after it: clocks differ, and typing takes time.
_STEPS_ASIDE = 1
_SECRET_BYTES = 20
_RECOVERY_CODES = 10
# So many bits that a fast digest hides them (OWASP ASVS 5, 6.5.2: 112 or more).
_RECOVERY_BYTES = 15
_ISSUER = "HashiraMart"

_log = structlog.get_logger(__name__)


class Enrollment(NamedTuple):
    """A secret that is shown once."""

    otpauth_uri: str
    secret: str
    """In base32."""


class SecondFactors:
    """Sets second factors up, and takes their codes."""

    def __init__(
        self,
        credentials: Credentials,
        factors: SecondFactorRepository,
        attempts: AttemptRepository,
        sealing: Sealing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """clock: in Unix time"""
        self._credentials = credentials
        self._factors = factors
        self._attempts = attempts
        self._sealing = sealing
        self._clock = clock

    async def enroll(self, user: User, password: str, address: ClientAddress) -> Enrollment:
        """Raises `WrongPassword`, `TooManySignIns`, `SecondFactorEnabled`."""
        await self._verify(user, password, address)
        secret = token_bytes(_SECRET_BYTES)
        if not await self._factors.enroll(user.id, self._sealing.seal(secret, str(user.id))):
            raise SecondFactorEnabled
        return Enrollment(_totp(secret).get_provisioning_uri(user.email, _ISSUER), b32encode(secret).decode())

    async def confirm(self, user: User, code: str, sign_in_id: UUID) -> list[str]:
        """Returns the recovery codes. Ends all other sign-ins.

        Raises `WrongOneTimeCode`, `TooManyCodes`, `SecondFactorNotEnrolled`, `SecondFactorEnabled`.
        """
        if user.has_second_factor:
            raise SecondFactorEnabled
        await self._attempts.count(codes_of(user.id))
        sealed = await self._factors.sealed_secret(user.id)
        if sealed is None:
            raise SecondFactorNotEnrolled
        step = next(self._steps(user.id, sealed, code), None)
        if step is None:
            raise WrongOneTimeCode
        recovery_codes = [_recovery_code() for _ in range(_RECOVERY_CODES)]
        if not await self._factors.confirm(user.id, sealed, step, [*map(_digest, recovery_codes)], sign_in_id):
            raise WrongOneTimeCode
        await self._attempts.clear(codes_of(user.id))
        _log.info("second factor enabled", user_id=str(user.id))
        return recovery_codes

    async def accept(self, user: User, code: str) -> bool:
        """Whether this is a code of the user, which is spent by that. Of concurrent calls with one code, one succeeds.

        Raises `TooManyCodes`.
        """
        # Counted by user alone: who gets here knows the password, so that nobody else can lock the owner out.
        await self._attempts.count(codes_of(user.id))
        if not await self._spend(user.id, code):
            return False
        await self._attempts.clear(codes_of(user.id))
        return True

    async def disable(self, user: User, password: str, code: str, address: ClientAddress, sign_in_id: UUID) -> None:
        """Ends all other sign-ins. Raises `WrongPassword`, `TooManySignIns`, `WrongOneTimeCode`, `TooManyCodes`."""
        await self._verify(user, password, address)
        if not user.has_second_factor:
            return
        if not await self.accept(user, code):
            raise WrongOneTimeCode
        await self._factors.remove(user.id, sign_in_id)
        _log.info("second factor disabled", user_id=str(user.id))

    async def reset(self, user_id: UUID) -> None:
        """Removes the second factor of a user who has lost it, and ends all sign-ins. Raises `NotFound`."""
        await self._factors.remove(user_id, None)
        await self._attempts.clear(codes_of(user_id))

    async def _verify(self, user: User, password: str, address: ClientAddress) -> None:
        if await self._credentials.verify(user.email, password, address) is None:
            raise WrongPassword

    async def _spend(self, user_id: UUID, code: str) -> bool:
        text = _normalize(code)
        if not re.fullmatch(f"[0-9]{{{_DIGITS}}}", text):
            return await self._factors.spend_recovery_code(user_id, _digest(text))
        sealed = await self._factors.sealed_secret(user_id)
        if sealed is None:
            return False
        for step in self._steps(user_id, sealed, text):
            if await self._factors.spend_step(user_id, sealed, step):
                return True
        return False

    def _steps(self, user_id: UUID, sealed_secret: bytes, code: str) -> Iterator[int]:
        """The steps of time around now that have this code, earliest first."""
        totp, now = _totp(self._sealing.unseal(sealed_secret, str(user_id))), int(self._clock()) // STEP_SECONDS
        text = _normalize(code).encode()
        for step in range(now - _STEPS_ASIDE, now + _STEPS_ASIDE + 1):
            if hmac.compare_digest(totp.generate(step * STEP_SECONDS), text):
                yield step


async def reseal_secrets(factors: SecondFactorRepository, sealing: Sealing) -> None:
    """Seals all secrets with the current secret. Raises `WrongSealingSecret` if one is sealed with neither."""
    for user_id, sealed in await factors.sealed_secrets():
        owner = str(user_id)
        await factors.reseal(user_id, sealed, sealing.seal(sealing.unseal(sealed, owner), owner))


def _totp(secret: bytes) -> TOTP:
    # What all authenticator apps can do.
    return TOTP(secret, _DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 an HMAC with SHA-1 is not broken


def _recovery_code() -> str:
    """Six groups of four characters."""
    text = b32encode(token_bytes(_RECOVERY_BYTES)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _normalize(code: str) -> str:
    """A code as it is compared: without spaces, hyphens and capitals."""
    return re.sub(r"[\s-]", "", code).lower()


def _digest(code: str) -> bytes:
    return hashlib.sha256(_normalize(code).encode()).digest()
