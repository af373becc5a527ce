"""How often one may try: sign-ins that fail, and sign-ups, delay those that follow."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from mesh.errors import ResourceExhausted

Client = IPv4Address | IPv6Address

# Tries are counted until there was none for so long.
WINDOW = timedelta(minutes=15)
_LONGEST_DELAY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries of one kind, by one account or one address, are free. After each further one, the next has to wait twice as long."""

    key: str
    free: int
    refusal: "type[TooManySignIns | TooManySignUps]"

    def delay(self, count: int) -> timedelta:
        """How long nothing is tried after try number `count`."""
        beyond = count - self.free
        # 2 ** 10 seconds are more than the longest delay.
        return min(timedelta(seconds=2 ** min(beyond, 10)), _LONGEST_DELAY) if beyond > 0 else timedelta()


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


def sign_ins_to(email_key: str) -> Limit:
    """Failed sign-ins to one account, whether it exists or not."""
    return Limit(f"account {hashlib.sha256(email_key.encode()).hexdigest()}", 10, TooManySignIns)


def sign_ins_from(client: Client) -> Limit:
    """Failed sign-ins from one address, behind which many may sit."""
    return Limit(f"address {_household(client)}", 50, TooManySignIns)


def sign_ups_from(client: Client) -> Limit:
    """Sign-ups from one address."""
    return Limit(f"sign-ups {_household(client)}", 50, TooManySignUps)


def _household(client: Client) -> str:
    # Whoever has one IPv6 address has the 2 ** 64 of its network.
    return str(IPv6Network((client, 64), strict=False) if isinstance(client, IPv6Address) else client)
