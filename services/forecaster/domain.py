"""Rules of the service: defaults of a forecast, the order of series, and which contributions of an explanation are named."""

from collections.abc import Iterable, Sequence

from mesh.paging import Place
from ml.forecaster.forecasts import Scope, ScopeKind

DEFAULT_HORIZON_DAYS = 28
DEFAULT_HISTORY_DAYS = 56
DEFAULT_LEVELS = (80, 95)

# The order in which series are listed.
_KINDS: tuple[ScopeKind, ...] = ("shop", "category", "country", "product")
# A contribution smaller than this share of the strongest one is not named.
_MIN_SHARE = 0.05


def series_key(scope: Scope) -> tuple[int, str]:
    """The position of a series in a list: by kind, then by name."""
    return _KINDS.index(scope.kind), scope.name


def select_series(scopes: Iterable[Scope], kind: ScopeKind | None, prefix: str, after: Place | None) -> list[Scope]:
    """The series of a kind, or of all, whose names start with a prefix in any case of its letters, in the order of `series_key`.

    after: only series that follow this position
    """
    start = prefix.casefold()
    chosen = (scope for scope in scopes if kind in (None, scope.kind) and scope.name.casefold().startswith(start))
    listed = sorted(chosen, key=series_key)
    return [scope for scope in listed if series_key(scope) > after] if after else listed


def named_count(amounts: Sequence[float]) -> int:
    """How many contributions are large enough to be named; the rest are summed up in one.

    amounts: the contributions, strongest first
    """
    if not amounts:
        return 0
    least = _MIN_SHARE * abs(amounts[0])
    return sum(abs(amount) >= least for amount in amounts)
