"""What users do by mail: set a new password, verify their e-mail address."""

from contextlib import suppress
from dataclasses import replace
from secrets import token_urlsafe
from uuid import UUID

from mesh import audit
from mesh.client_address import ClientAddress
from mesh.errors import InvalidArgument
from services.auth.common_passwords import check_password
from services.auth.domain import MailNotConfigured, User, email_address
from services.auth.mail import token_digest
from services.auth.passwords import Passwords
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.mail import MailRepository, Purpose
from services.auth.repository.users import UserRepository
from services.auth.throttle import TooManyMails, mails_from, mails_to


class Recovery:
    """Has mails sent, and takes their tokens.

    sends_mail: whether the installation sends mail at all
    """

    def __init__(
        self, users: UserRepository, mails: MailRepository, attempts: AttemptRepository, passwords: Passwords, *, sends_mail: bool
    ) -> None:
        self._users = users
        self._mails = mails
        self._attempts = attempts
        self._passwords = passwords
        self._sends_mail = sends_mail

    async def request_reset(self, email: str, address: ClientAddress) -> None:
        """Mails a token to the owner of an account, if there is one. Raises `TooManyMails`, `MailNotConfigured`."""
        self._require_mail()
        await self._attempts.count(mails_from(address))
        # The caller learns nothing of accounts: neither whether one exists, nor whether its owner gets too many mails.
        with suppress(InvalidArgument, TooManyMails):
            user = await self._users.find_by_email(email_address(email.strip()))
            if user and not user.disabled:
                audit.enter_resource(f"users/{user.id}")
                await self._attempts.count_in_window(mails_to(user.id))
                await self._mails.enqueue(user.id, Purpose.RESET_PASSWORD, user.email)

    async def reset(self, token: str, password: str, address: ClientAddress) -> None:
        """Sets a new password. Raises `InvalidMailToken`, `InvalidArgument` for a common password, `ResourceExhausted` if too many wait."""
        check_password(password, "")
        with self._passwords.slot(f"reset {address}"):
            password_hash = await self._passwords.hash(password)
        user_id = await self._users.reset_password(token_digest(token), password_hash)
        audit.enter_resource(f"users/{user_id}")

    async def reset_user(self, id: UUID) -> None:
        """Makes a user's password invalid, and mails a token for a new one. Raises `NotFound`, `MailNotConfigured`."""
        self._require_mail()
        with self._passwords.slot():
            unusable = await self._passwords.hash(token_urlsafe())
        user = await self._users.update(id, lambda user: replace(user, password_hash=unusable))
        await self._mails.enqueue(user.id, Purpose.RESET_PASSWORD, user.email)

    async def request_verification(self, user: User) -> None:
        """Mails a token to a user. Raises `TooManyMails`, `MailNotConfigured`."""
        self._require_mail()
        await self._attempts.count_in_window(mails_to(user.id))
        await self._mails.enqueue(user.id, Purpose.VERIFY_EMAIL, user.email)

    async def verify(self, token: str) -> None:
        """Verifies an e-mail address. Raises `InvalidMailToken`."""
        user_id = await self._users.verify_email(token_digest(token))
        audit.enter_resource(f"users/{user_id}")

    def _require_mail(self) -> None:
        if not self._sends_mail:
            raise MailNotConfigured
