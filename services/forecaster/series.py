"""The series that can be forecast, as they are listed."""

from collections.abc import Iterable

from mesh.paging import Place
from ml.forecaster.forecasts import Scope, ScopeKind

# The order in which series are listed.
_KINDS: tuple[ScopeKind, ...] = ("shop", "category", "country", "product")


def series_key(scope: Scope) -> tuple[int, str]:
    """The position of a series in a list: by kind, then by name."""
    return _KINDS.index(scope.kind), scope.name


def product_indices(scopes: Iterable[Scope]) -> dict[str, int]:
    """The index of each product among the products of a model, by name. scopes: all of the model"""
    return {scope.name: index for index, scope in enumerate(scope for scope in scopes if scope.kind == "product")}


def select_series(scopes: Iterable[Scope], kind: ScopeKind | None, prefix: str, after: Place | None) -> list[Scope]:
    """The series of a kind, or of all, whose names start with a prefix in any case of its letters, in the order of `series_key`.

    after: only series that follow this position
    """
    start = prefix.casefold()
    chosen = (scope for scope in scopes if kind in (None, scope.kind) and scope.name.casefold().startswith(start))
    listed = sorted(chosen, key=series_key)
    return [scope for scope in listed if series_key(scope) > after] if after else listed
