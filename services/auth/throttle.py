"""Limits on sign-ins and sign-ups: attempts beyond them delay those that follow."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from mesh.client_address import ClientAddress, counted_network
from mesh.errors import ResourceExhausted
from services.auth.domain import comparison_key

# Attempts are counted until there was none for this long.
WINDOW = timedelta(minutes=15)
_MAX_DELAY = timedelta(minutes=15)
# 2 ** 10 seconds are more than the maximum.
_MAX_DOUBLINGS = 10
_ALLOWED_PER_ACCOUNT = 10
_ALLOWED_PER_ADDRESS = 50


class TooManySignIns(ResourceExhausted):
    """Too many failed sign-ins, to this account or from this address."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            reason="TOO_MANY_SIGN_INS",
            message="too many failed sign-ins; wait before the next one",
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


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """How many attempts of one kind, by one account or address, are free. Each further one doubles the delay before the next."""

    key: str
    allowed: int
    error: type[TooManySignIns] | type[TooManySignUps]

    def delay(self, count: int) -> timedelta:
        """How long the next attempt has to wait after attempt number `count`."""
        excess = count - self.allowed
        return min(timedelta(seconds=2 ** min(excess, _MAX_DOUBLINGS)), _MAX_DELAY) if excess > 0 else timedelta()


def sign_ins_to(email: str) -> AttemptLimit:
    """Failed sign-ins to one account, whether it exists or not, however its address is spelled."""
    return AttemptLimit(f"account {hashlib.sha256(comparison_key(email).encode()).hexdigest()}", _ALLOWED_PER_ACCOUNT, TooManySignIns)


def sign_ins_from(address: ClientAddress) -> AttemptLimit:
    """Failed sign-ins from one address, which many users may share."""
    return AttemptLimit(f"address {counted_network(address)}", _ALLOWED_PER_ADDRESS, TooManySignIns)


def sign_ups_from(address: ClientAddress) -> AttemptLimit:
    """Sign-ups from one address."""
    return AttemptLimit(f"sign-ups {counted_network(address)}", _ALLOWED_PER_ADDRESS, TooManySignUps)
