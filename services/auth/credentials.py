"""Verifies users by e-mail address and password."""

from contextlib import suppress

from mesh.client_address import ClientAddress
from mesh.errors import InvalidArgument
from services.auth.domain import User, email_address
from services.auth.passwords import Passwords, needs_rehash
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.users import UserRepository
from services.auth.throttle import sign_ins_from, sign_ins_to


class Credentials:
    """Verifies e-mail addresses and passwords, within the limits on failed attempts."""

    def __init__(self, users: UserRepository, attempts: AttemptRepository, passwords: Passwords) -> None:
        self._users = users
        self._attempts = attempts
        self._passwords = passwords

    async def verify(self, email: str, password: str, address: ClientAddress) -> User | None:
        """The user with these credentials, or None if there is none or the account is disabled, which takes just as long.

        Raises `TooManySignIns`, or `ResourceExhausted` if too many passwords are being hashed.
        """
        email = _normalize(email)
        account_limit, address_limit = sign_ins_to(email), sign_ins_from(address)
        with self._passwords.slot():
            await self._attempts.count(account_limit, address_limit)
            user = await self._users.find_by_email(email)
            matches = await self._passwords.verify(user.password_hash if user else None, password)
            if user is None or not matches or user.disabled:
                return None
            await self._attempts.clear(account_limit, address_limit)
            if needs_rehash(user.password_hash):
                user = await self._users.rehash(user, await self._passwords.hash(password))
            return user


def _normalize(email: str) -> str:
    email = email.strip()
    # No user has an invalid address. The sign-in fails as any other does, so that the caller learns nothing.
    with suppress(InvalidArgument):
        return email_address(email)
    return email
