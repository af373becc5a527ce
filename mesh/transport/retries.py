"""Retries, as gRPC's service config describes them."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from mesh.transport.attempt import CallOutcome

_DURATION = re.compile(r"([0-9.]+)s")


class Throttle:
    """Ends retries while too many calls fail. Without a maximum, it never does."""

    def __init__(self, max_tokens: float = 0, ratio: float = 0) -> None:
        self._max_tokens, self._tokens, self._ratio = max_tokens, max_tokens, ratio

    def succeed(self) -> None:
        self._tokens = min(self._tokens + self._ratio, self._max_tokens)

    def fail(self) -> bool:
        """Counts a failure. Returns whether it may be retried."""
        self._tokens = max(self._tokens - 1, 0)
        return not self._max_tokens or self._tokens > self._max_tokens / 2


@dataclass(frozen=True)
class CallRetries:
    """When the calls of a method are made again."""

    max_attempts: int
    initial_seconds: float
    max_seconds: float
    multiplier: float
    codes: frozenset[grpc.StatusCode]

    def delay(self, attempts: int, outcome: CallOutcome, throttle: Throttle) -> float | None:
        """How long to wait before the next attempt, in seconds, at random; None if there is none.

        attempts: how many were made
        """
        if outcome.code is grpc.StatusCode.OK:
            throttle.succeed()
        if outcome.code not in self.codes or not throttle.fail() or attempts >= self.max_attempts:
            return None
        pushback = next((value for key, value in outcome.trailing if key == "grpc-retry-pushback-ms"), None)
        if pushback is not None:
            return int(pushback) / 1000 if str(pushback).isdigit() else None
        return random.uniform(0, min(self.initial_seconds * self.multiplier ** (attempts - 1), self.max_seconds))  # noqa: S311 no secret


def retry_policies(config: Mapping[str, Any]) -> dict[str, CallRetries]:
    """The policies of a service config, by the full name of the method."""
    policies: dict[str, CallRetries] = {}
    for entry in config.get("methodConfig", ()):
        if policy := entry.get("retryPolicy"):
            read = CallRetries(
                policy["maxAttempts"],
                _seconds(policy["initialBackoff"]),
                _seconds(policy["maxBackoff"]),
                policy["backoffMultiplier"],
                frozenset(grpc.StatusCode[code] for code in policy["retryableStatusCodes"]),
            )
            policies |= {f"/{name['service']}/{name['method']}": read for name in entry["name"]}
    return policies


def _seconds(duration: str) -> float:
    if not (found := _DURATION.fullmatch(duration)):
        raise ValueError(f"{duration!r} is no duration such as 0.5s")
    return float(found[1])
