"""Users, the keys that sign for them, and the rules that hold for both."""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from mesh.errors import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied, StatusError, Unauthenticated
from mesh.identity import Role

ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
# A key that signed is needed until its last token expires; replicas notice a rotation some seconds late, and clocks differ.
KEY_AFTERLIFE = ACCESS_TOKEN_LIFETIME + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in."""

    id: UUID
    email: str
    display_name: str
    role: Role
    customer_number: str | None
    disabled: bool
    password_hash: str = field(repr=False)
    version: int
    create_time: datetime
    update_time: datetime

    @property
    def administers(self) -> bool:
        """Whether this is an admin who can sign in."""
        return self.role is Role.ADMIN and not self.disabled

    @property
    def etag(self) -> str:
        """What tells this version of the user from all others."""
        return str(self.version)


def email_address(text: str) -> str:
    """The e-mail address in its normalised form; refuses what cannot be one."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise InvalidArgument(f"this is no e-mail address: {error}", field="email") from None


def folded(text: str) -> str:
    """A text as it is compared: without the case of its letters, and however its accents were typed."""
    return unicodedata.normalize("NFC", text.casefold())


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A signing key as it is kept: encrypted."""

    id: str
    sealed_private_key: bytes = field(repr=False)


class InvalidGrant(Unauthenticated):
    """The credentials are not good. Which of them and why is not said."""

    def __init__(self) -> None:
        super().__init__(reason="INVALID_GRANT", message="the credentials are not good")


class CallerGone(Unauthenticated):
    """The caller's account was deleted or disabled after the access token was issued."""

    def __init__(self) -> None:
        super().__init__(reason="USER_NOT_FOUND", message="the account was deleted or disabled")


class WrongPassword(PermissionDenied):
    """The current password is missing or wrong."""

    def __init__(self) -> None:
        super().__init__(reason="WRONG_PASSWORD", message="the current password is missing or wrong")


class EmailTaken(StatusError):
    """Another user has the e-mail address."""

    code = AlreadyExists.code

    def __init__(self) -> None:
        super().__init__(reason="EMAIL_TAKEN", message="another user has this e-mail address")


class CustomerNumberTaken(StatusError):
    """Another user is tied to the customer number."""

    code = AlreadyExists.code

    def __init__(self) -> None:
        super().__init__(reason="CUSTOMER_NUMBER_TAKEN", message="another user is tied to this customer number")


class LastAdmin(FailedPrecondition):
    """The shop would be left without an admin."""

    def __init__(self) -> None:
        super().__init__(reason="LAST_ADMIN", message="this is the last admin; make another one first")


class KeyStillNeededError(Exception):
    """A rotation would drop a key while tokens that it signed are still good."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the key that signed before the last rotation is needed until {until:%H:%M:%S} UTC; rotate after that")
