"""Users, signing keys, and their rules."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from mesh.client_address import ClientAddress
from mesh.errors import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied, StatusError, Unauthenticated
from mesh.identity import Role

ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
# How long after a sign-in the user may do what cannot be undone.
RECENT_SIGN_IN = timedelta(minutes=10)
# Of the name by which a program calls itself, in characters.
MAX_USER_AGENT = 200
# A key that signed is needed until its last token expires. The minute is for replicas, which notice a rotation some seconds late, and
# for clocks that differ.
KEY_AFTERLIFE = ACCESS_TOKEN_LIFETIME + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class User:
    """A registered account."""

    id: UUID
    email: str
    display_name: str
    role: Role
    customer_number: str | None
    disabled: bool
    password_hash: str = field(repr=False)
    verified_email: str | None
    has_second_factor: bool
    version: int
    create_time: datetime
    update_time: datetime

    @property
    def is_active_admin(self) -> bool:
        """Whether this is an admin who can sign in."""
        return self.role is Role.ADMIN and not self.disabled

    def lacks_second_factor(self, required_roles: Collection[Role]) -> bool:
        """Whether the role requires a second factor that the user does not have."""
        return self.role in required_roles and not self.has_second_factor

    @property
    def claims(self) -> tuple[object, ...]:
        """What access tokens say of the user, and whether there are any: tokens issued before a change of it are revoked."""
        return self.role, self.customer_number, self.disabled

    @property
    def etag(self) -> str:
        """Identifies this version of the user."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Client:
    """Where a call comes from."""

    address: ClientAddress
    user_agent: str
    """The program as it calls itself, cut to `MAX_USER_AGENT` characters."""


@dataclass(frozen=True, slots=True)
class ProfileUpdate:
    """What users change of their own profile; None leaves a field as it is."""

    display_name: str | None
    email: str | None
    password: str | None = field(repr=False)
    current_password: str = field(repr=False)

    @property
    def needs_password(self) -> bool:
        """Whether the current password has to be verified."""
        return self.email is not None or self.password is not None


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A signing key as it is stored: encrypted."""

    id: str
    sealed_private_key: bytes = field(repr=False)


def email_address(text: str) -> str:
    """The e-mail address in its normalized form. Raises `InvalidArgument`."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise InvalidArgument("not a valid e-mail address: {problem}", field="email", problem=error) from None


def comparison_key(text: str) -> str:
    """The form in which texts are compared: case-folded, and normalized to NFC, so that it does not matter how accents were typed."""
    return unicodedata.normalize("NFC", text.casefold())


class InvalidGrant(Unauthenticated):
    """The credentials are invalid. The response does not reveal which of them, or why."""

    def __init__(self) -> None:
        super().__init__(reason="INVALID_GRANT", message="the credentials are invalid")


class CallerGone(Unauthenticated):
    """The caller's account was deleted or disabled after the access token was issued."""

    def __init__(self) -> None:
        super().__init__(reason="USER_GONE", message="the account was deleted or disabled")


class InvalidMailToken(InvalidArgument):
    """The token of a mail is not valid."""

    def __init__(self) -> None:
        super().__init__("the token is unknown, used or expired", field="token", reason="INVALID_MAIL_TOKEN")


class MailNotConfigured(FailedPrecondition):
    """No mail is sent."""

    def __init__(self) -> None:
        super().__init__(reason="MAIL_NOT_CONFIGURED", message="this installation sends no mail")


class SignInNotRecent(PermissionDenied):
    """What cannot be undone takes a recent sign-in."""

    def __init__(self) -> None:
        super().__init__(reason="SIGN_IN_NOT_RECENT", message="this cannot be undone: sign in again, and retry within 10 minutes")


class SecondFactorRequired(Unauthenticated):
    """The password is right, and a one-time code is missing."""

    def __init__(self) -> None:
        super().__init__(reason="SECOND_FACTOR_REQUIRED", message="the account has a second factor: send one_time_code as well")


class InvalidSecondFactor(Unauthenticated):
    """The one-time code of a sign-in is not valid."""

    def __init__(self) -> None:
        super().__init__(reason="INVALID_SECOND_FACTOR", message="the one-time code is wrong, expired or used before")


class WrongOneTimeCode(InvalidArgument):
    """A one-time code is not valid."""

    def __init__(self) -> None:
        super().__init__("the code is wrong, expired or used before", field="one_time_code", reason="WRONG_ONE_TIME_CODE")


class SecondFactorEnabled(FailedPrecondition):
    """The caller has a second factor already."""

    def __init__(self) -> None:
        super().__init__(reason="SECOND_FACTOR_ENABLED", message="there is a second factor already; disable it first")


class SecondFactorNotEnrolled(FailedPrecondition):
    """There is nothing to confirm."""

    def __init__(self) -> None:
        super().__init__(reason="SECOND_FACTOR_NOT_ENROLLED", message="there is no second factor to confirm; enroll first")


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
    """Another user has the customer number."""

    code = AlreadyExists.code

    def __init__(self) -> None:
        super().__init__(reason="CUSTOMER_NUMBER_TAKEN", message="another user has this customer number")


class LastAdmin(FailedPrecondition):
    """The shop would be left without an admin."""

    def __init__(self) -> None:
        super().__init__(reason="LAST_ADMIN", message="this is the last admin; make another user an admin first")


class UnknownSigningKey(Exception):
    """There is no signing key with an id. No caller of the service names keys: it is an operator's error."""

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no signing key '{id}'.")


class KeyStillNeeded(Exception):
    """A rotation would delete a key while tokens that it signed are still valid."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the previous signing key is needed until {until:%H:%M:%S} UTC; rotate after that")
