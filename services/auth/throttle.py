"""Limits on sign-ins and sign-ups: attempts beyond them delay those that follow."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from mesh.client_address import ClientAddress, counted_network
from mesh.errors import ResourceExhausted
from services.auth.domain import comparison_key

# Attempts are counted until there was none for this long.
WINDOW = timedelta(minutes=15)
_MAX_DELAY = timedelta(minutes=15)
# Guesses from many networks together are slowed down, and the owner is not locked out: neither on a network from which they are signed in,
# nor for longer than this on another one.
_MAX_SOFT_DELAY = timedelta(minutes=1)
# 2 ** 10 seconds are more than the maximum.
_MAX_DOUBLINGS = 10
_ALLOWED_PER_ACCOUNT_AND_NETWORK = 10
_ALLOWED_PER_ACCOUNT = 100
_ALLOWED_PER_ADDRESS = 50
_ALLOWED_PER_WINDOW = 100
_ALLOWED_VISITORS = 1000
_ALLOWED_MAILS = 3
_ALLOWED_CODES = 10


class TooManySignIns(ResourceExhausted):
    """Too many sign-ins, to this account or from this address."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            reason="TOO_MANY_SIGN_INS",
            message="too many sign-ins; wait before the next one",
            retry_after_seconds=wait.total_seconds(),
        )


class TooManyCodes(ResourceExhausted):
    """Too many wrong one-time codes of one user."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            reason="TOO_MANY_CODES",
            message="too many wrong one-time codes; wait before the next one",
            retry_after_seconds=wait.total_seconds(),
        )


class TooManySignUps(ResourceExhausted):
    """Too many sign-ups from this address."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            reason="TOO_MANY_SIGN_UPS",
            message="too many sign-ups from this address; wait before the next one",
            retry_after_seconds=wait.total_seconds(),
        )


class TooManyMails(ResourceExhausted):
    """Too many mails, requested from this network."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            reason="TOO_MANY_MAILS",
            message="too many mails were requested; wait before the next one",
            retry_after_seconds=wait.total_seconds(),
        )


class TooManyVisitors(ResourceExhausted):
    """Too many new visitors from this address."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            reason="TOO_MANY_VISITORS",
            message="too many new visitors from this address; wait before the next one",
            retry_after_seconds=wait.total_seconds(),
        )


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """How many attempts of one kind, by one account or address, are free. Each further one doubles the delay before the next."""

    key: str
    allowed: int
    error: type[TooManySignIns] | type[TooManySignUps] | type[TooManyMails] | type[TooManyCodes]
    max_delay: timedelta = _MAX_DELAY

    def delay(self, count: int) -> timedelta:
        """How long the next attempt has to wait after attempt number `count`."""
        excess = count - self.allowed
        return min(timedelta(seconds=2 ** min(excess, _MAX_DOUBLINGS)), self.max_delay) if excess > 0 else timedelta()


@dataclass(frozen=True, slots=True)
class WindowLimit:
    """How many attempts of one kind are allowed in `WINDOW`, from the first on."""

    key: str
    allowed: int
    error: type[TooManySignIns] | type[TooManyVisitors] | type[TooManyMails]


def sign_ins_to_from(email: str, address: ClientAddress) -> AttemptLimit:
    """Failed sign-ins to one account from one network."""
    return AttemptLimit(
        f"account and network {_account(email)} {counted_network(address)}", _ALLOWED_PER_ACCOUNT_AND_NETWORK, TooManySignIns
    )


def sign_ins_to(email: str) -> AttemptLimit:
    """Failed sign-ins to one account, whether it exists or not, however its address is spelled."""
    return AttemptLimit(f"account {_account(email)}", _ALLOWED_PER_ACCOUNT, TooManySignIns, _MAX_SOFT_DELAY)


def all_sign_ins(email: str, address: ClientAddress) -> WindowLimit:
    """Sign-ins to one account from one network, failed or not: each takes a hash, and each that succeeds a row."""
    return WindowLimit(f"all {_account(email)} {counted_network(address)}", _ALLOWED_PER_WINDOW, TooManySignIns)


def sign_ins_from(address: ClientAddress) -> AttemptLimit:
    """Failed sign-ins from one address, which many users may share."""
    return AttemptLimit(f"address {counted_network(address)}", _ALLOWED_PER_ADDRESS, TooManySignIns)


def codes_of(user_id: UUID) -> AttemptLimit:
    """Wrong one-time codes of one user, from anywhere."""
    return AttemptLimit(f"codes {user_id}", _ALLOWED_CODES, TooManyCodes)


def mails_from(address: ClientAddress) -> AttemptLimit:
    """Mails that are requested from one address."""
    return AttemptLimit(f"mails {counted_network(address)}", _ALLOWED_PER_ADDRESS, TooManyMails)


def mails_to(user_id: UUID) -> WindowLimit:
    """Mails to one user."""
    return WindowLimit(f"mails to {user_id}", _ALLOWED_MAILS, TooManyMails)


def sign_ups_from(address: ClientAddress) -> AttemptLimit:
    """Sign-ups from one address."""
    return AttemptLimit(f"sign-ups {counted_network(address)}", _ALLOWED_PER_ADDRESS, TooManySignUps)


def new_visitors_from(address: ClientAddress) -> WindowLimit:
    """Visitors who are new, from one address."""
    return WindowLimit(f"visitors {counted_network(address)}", _ALLOWED_VISITORS, TooManyVisitors)


def _account(email: str) -> str:
    return hashlib.sha256(comparison_key(email).encode()).hexdigest()
