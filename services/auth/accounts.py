"""Accounts as their owners create and update them."""

from dataclasses import replace
from uuid import UUID

from mesh.client_address import ClientAddress
from mesh.idempotency import IdempotentRequest
from mesh.identity import Role
from services.auth.common_passwords import check_password
from services.auth.credentials import Credentials
from services.auth.domain import CallerGone, ProfileUpdate, User, WrongPassword, comparison_key, email_address
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

    async def sign_up(
        self, email: str, password: str, display_name: str, address: ClientAddress, request: IdempotentRequest | None
    ) -> User:
        """Creates a customer. Raises `InvalidArgument`, `EmailTaken`, `TooManySignUps`, or `ResourceExhausted` if too many wait."""
        email = email_address(email)
        if request is not None:
            # A caller who signs up has no id yet, so the e-mail address takes its place.
            request = request._replace(caller=f"sign-up {comparison_key(email)}")
        if known := await self._users.find_answer(request):
            return known
        limit = sign_ups_from(address)
        check_password(password, email)
        with self._passwords.slot(limit.key):
            await self._attempts.count(limit)
            # Hashed before the address is looked up, so that the response time does not reveal whether it is taken.
            password_hash = await self._passwords.hash(password)
        return await self._users.create(email, display_name, Role.CUSTOMER, password_hash, request)

    async def update(
        self, user: User, update: ProfileUpdate, address: ClientAddress, sign_in_id: UUID, request: IdempotentRequest | None
    ) -> User:
        """Updates the user's own profile. A new password ends every sign-in but `sign_in_id`.

        Raises `InvalidArgument`, `WrongPassword`, `TooManySignIns` after too many of those, `EmailTaken`, and `CallerGone` if the account
        was disabled meanwhile.
        """
        # The current password may be that of before.
        if known := await self._users.find_answer(request):
            return known
        email = None if update.email is None else email_address(update.email)
        verified = await self._verify(user, update, address) if update.needs_password else None
        if update.password is not None:
            check_password(update.password, email or user.email)
        password_hash = None if update.password is None else await self._hash(user, update.password)

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

        return await self._users.update(user.id, apply, request, current_sign_in=sign_in_id)

    async def _verify(self, user: User, update: ProfileUpdate, address: ClientAddress) -> User:
        verified = await self._credentials.verify(user.email, update.current_password, address)
        if verified is None:
            raise WrongPassword
        return verified

    async def _hash(self, user: User, password: str) -> str:
        with self._passwords.slot(str(user.id)):
            return await self._passwords.hash(password)
