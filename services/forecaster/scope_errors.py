"""The model's error for an unknown series, as that of a call."""

from collections.abc import Iterator
from contextlib import contextmanager

from mesh.errors import NotFound
from ml.forecaster.forecasts import ScopeNotFound


@contextmanager
def scope_errors() -> Iterator[None]:
    """Translates the model's error for an unknown series into that of a call."""
    try:
        yield
    except ScopeNotFound as error:
        raise NotFound("series", str(error)) from None
