"""How many requests a caller may send in a time."""

import time

# With so many callers, those whose limit is whole again are forgotten.
_SWEEP_AT = 10_000


class RateLimit:
    """At most so many requests of a caller in any window (the generic cell rate algorithm, ITU-T I.371): one number for each caller."""

    def __init__(self, maximum: int, window_seconds: float) -> None:
        self._window = window_seconds
        self._interval = window_seconds / maximum
        # When each caller's limit is whole again.
        self._whole: dict[str, float] = {}
        self._sweep_at = _SWEEP_AT

    def take(self, caller: str) -> tuple[int, float]:
        """Counts a request. Returns how many more there may be at once, or -1 for one that is refused, and the seconds to wait.

        The seconds are those until the limit is whole again or, for a request that is refused, until it would not be.
        """
        now = time.monotonic()
        taken = max(self._whole.get(caller, now) - now, 0.0) + self._interval
        # Half an interval for rounding.
        if taken > self._window + self._interval / 2:
            return -1, taken - self._window
        self._whole[caller] = now + taken
        if len(self._whole) > self._sweep_at:
            self._sweep(now)
        return round((self._window - taken) / self._interval), taken

    def _sweep(self, now: float) -> None:
        self._whole = {caller: whole for caller, whole in self._whole.items() if whole > now}
        # In proportion to what is left, so that callers share the work of it however many there are.
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._whole))
