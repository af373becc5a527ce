"""Accounts as their owners create and update them."""

from dataclasses import replace
from uuid import UUID

from mesh.client_address import ClientAddress
from mesh.identity import Role
from services.auth.credentials import Credentials
from services.auth.domain import CallerGone, ProfileUpdate, User, WrongPassword, email_address
from services.auth.passwords import Passwords
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.users import UserRepository
from services.auth.throttle import sign_ups_from


class Accounts:
    """Creates accounts, and updates them once the current password has been verified where that is required."""

    def __init__(self, users: UserRepository, attempts: AttemptRepository, passwords: Passwords, credentials: Credentials) -> None:
        self._users = users
        self._attempts = attempts
        self._passwords = passwords
        self._credentials = credentials

    async def sign_up(self, email: str, password: str, display_name: str, address: ClientAddress) -> User:
        """Creates a customer. Raises `InvalidArgument`, `EmailTaken`, `TooManySignUps`, or `ResourceExhausted` if too many wait."""
        email = email_address(email)
        with self._passwords.slot():
            await self._attempts.count(sign_ups_from(address))
            # Hashed before the address is looked up, so that the response time does not reveal whether it is taken.
            password_hash = await self._passwords.hash(password)
        return await self._users.create(email, display_name, Role.CUSTOMER, password_hash)

    async def update(self, user: User, update: ProfileUpdate, address: ClientAddress, sign_in_id: UUID) -> User:
        """Updates the user's own profile. A new password ends every sign-in but `sign_in_id`.

        Raises `InvalidArgument`, `WrongPassword`, `TooManySignIns` after too many of those, `EmailTaken`, and `CallerGone` if the account
        was disabled meanwhile.
        """
        email = None if update.email is None else email_address(update.email)
        verified = await self._verify(user, update, address) if update.needs_password else None
        password_hash = None if update.password is None else await self._hash(update.password)

        def apply(current: User) -> User:
            if current.disabled:
                raise CallerGone
            if verified and current.password_hash != verified.password_hash:
                raise WrongPassword
            return replace(
                current,
                display_name=current.display_name if update.display_name is None else update.display_name,
                email=email or current.email,
                password_hash=password_hash or current.password_hash,
            )

        return await self._users.update(user.id, apply, current_sign_in=sign_in_id)

    async def _verify(self, user: User, update: ProfileUpdate, address: ClientAddress) -> User:
        verified = await self._credentials.verify(user.email, update.current_password, address)
        if verified is None:
            raise WrongPassword
        return verified

    async def _hash(self, password: str) -> str:
        with self._passwords.slot():
            return await self._passwords.hash(password)
