"""Verifies users by e-mail address and password."""

from contextlib import suppress

from mesh import audit
from mesh.client_address import ClientAddress
from mesh.errors import InvalidArgument
from services.auth.domain import User, email_address
from services.auth.passwords import Passwords, needs_rehash
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.sign_ins import SignInRepository
from services.auth.repository.users import UserRepository
from services.auth.throttle import all_sign_ins, sign_ins_from, sign_ins_to, sign_ins_to_from


class Credentials:
    """Verifies e-mail addresses and passwords, within the limits on failed attempts."""

    def __init__(self, users: UserRepository, sign_ins: SignInRepository, attempts: AttemptRepository, passwords: Passwords) -> None:
        self._users = users
        self._sign_ins = sign_ins
        self._attempts = attempts
        self._passwords = passwords

    async def verify(self, email: str, password: str, address: ClientAddress) -> User | None:
        """The user with these credentials, or None if there is none or the account is disabled, which takes just as long.

        Raises `TooManySignIns`, or `ResourceExhausted` if too many passwords are being hashed.
        """
        email = _normalize(email)
        own, account, network = sign_ins_to_from(email, address), sign_ins_to(email), sign_ins_from(address)
        with self._passwords.slot(own.key):
            await self._attempts.count_in_window(all_sign_ins(email, address))
            user = await self._users.find_by_email(email)
            # Guesses from elsewhere do not keep users from signing in again where they are signed in.
            if user is not None:
                audit.enter_resource(f"users/{user.id}")
            is_known = user is not None and await self._sign_ins.has_network(user.id, address)
            await self._attempts.count(own, network, *(() if is_known else (account,)))
            matches = await self._passwords.verify(user.password_hash if user else None, password)
            if user is None or not matches or user.disabled:
                return None
            await self._attempts.clear(own, network, *(() if is_known else (account,)))
            if needs_rehash(user.password_hash):
                user = await self._users.rehash(user, await self._passwords.hash(password))
            return user


def _normalize(email: str) -> str:
    email = email.strip()
    # No user has an invalid address. The sign-in fails as any other does, so that the caller learns nothing.
    with suppress(InvalidArgument):
        return email_address(email)
    return email
