"""Rules of the service: defaults of a forecast, and which contributions of an explanation are named."""

from collections.abc import Sequence

DEFAULT_HORIZON_DAYS = 28
DEFAULT_HISTORY_DAYS = 56
DEFAULT_LEVELS = (80, 95)

# A contribution smaller than this share of the strongest one is not named.
_MIN_SHARE = 0.05


def named_count(amounts: Sequence[float]) -> int:
    """How many contributions are large enough to be named; the rest are summed up in one.

    amounts: the contributions, strongest first
    """
    if not amounts:
        return 0
    least = _MIN_SHARE * abs(amounts[0])
    return sum(abs(amount) >= least for amount in amounts)
