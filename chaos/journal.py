"""What the callers have sent and seen."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple


class Window(NamedTuple):
    """The time of a fault, until everything was ready again; in seconds of one clock."""

    fault: str
    began: float
    ended: float
    excused: frozenset[str]
    """The reasons with which reads may fail meanwhile."""


class FailedRead(NamedTuple):
    """A read that got an error from every gateway."""

    kind: str
    reason: str
    began: float
    ended: float


@dataclass
class JournaledProduct:
    """A product that one caller writes, whose price only rises."""

    id: str = ""
    """Empty until the creation has been acknowledged."""
    confirmed: int = 0
    """The last price of an acknowledged write."""
    attempted: int = 0
    """The price of the last write, acknowledged or not."""


@dataclass
class Journal:
    """Of one run."""

    products: dict[str, JournaledProduct] = field(default_factory=dict)
    """By name, of which there is at most one each."""
    events: list[str] = field(default_factory=list)
    """The ids of acknowledged events."""
    accounts: list[str] = field(default_factory=list)
    """The e-mail addresses of acknowledged sign-ups."""
    jobs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The ids of the jobs that were returned for each request id."""
    calls: Counter[str] = field(default_factory=Counter)
    """The number of successful calls of each kind."""
    retries: Counter[str] = field(default_factory=Counter)
    """The number of writes that had to be repeated, by kind and reason."""
    failed_reads: list[FailedRead] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Responses that contradict acknowledged writes."""

    def check_price(self, name: str, since: int, seen: int) -> None:
        """Notes a response if its price is older than `since`, the confirmed one when the read began, or was never written."""
        latest = self.products[name].attempted
        if not since <= seen <= latest:
            self.wrong.append(f"{name} has price {seen}, and {since} to {latest} were possible")
