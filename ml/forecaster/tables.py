"""The stored forecasts of a shop, and their form in an artifact."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.quantiles import LEVELS
from ml.registry.artifact import Artifact

# The names in artifacts that differ from those of the fields; saved models are read by them.
_SAVED_NAMES = {
    "quantiles": "knots",
    "backtest_mean": "tried_mean",
    "backtest_quantiles": "tried_knots",
    "backtest_price": "tried_price",
    "closed": "rests",
}
# The large arrays, with a row for each scope or series. They are saved as Arrow files, which are memory-mapped: a service has only those
# rows in memory that are asked for.
_MAPPED = {
    "places": ("units", "revenue", "mean_units", "mean_revenue"),
    "rows": ("quantiles", "backtest_mean", "backtest_quantiles"),
}


@dataclass(frozen=True)
class Tables:
    """The arrays of a forecaster of N scopes, the first A of which are aggregates: the shop, categories, countries; then n products.

    There are 2A + n series: the units of aggregates, their revenue, then the units of products.
    """

    units: NDArray[np.float32]
    """The history of each scope, shape (N, T)."""
    revenue: NDArray[np.float32]
    """Pounds, shape (N, T)."""
    mean_units: Floats
    """Shape (N, HORIZON)."""
    mean_revenue: Floats
    """Pounds, shape (N, HORIZON)."""
    quantiles: NDArray[np.float32]
    """Shape (2A + n, HORIZON, 7)."""
    backtest_mean: NDArray[np.float32]
    """The forecasts of the days held back, shape (2A + n, HELD_BACK)."""
    backtest_quantiles: NDArray[np.float32]
    """Shape (2A + n, HELD_BACK, 7)."""
    sum_errors: Floats
    """Of `period_sums.measure_errors`, shape (groups, sizes, lengths, levels)."""
    price: Floats
    """Pounds a unit of each product, shape (n,)."""
    backtest_price: Floats
    """As it was before the days held back."""
    level: Floats
    """The last level of exponential smoothing, shape (2A + n,)."""
    trend: Floats
    """The last trend of exponential smoothing, shape (2A + n,)."""
    factors: Floats
    """The last factors of exponential smoothing, shape (2A + n, 7)."""
    starts: Floats
    """The level that each series is expected to start with, shape (2A + n,)."""
    closed: Booleans
    """Whether the shop is closed, shape (T + HORIZON,)."""
    kind: Integers
    """Static attributes of each series, shape (2A + n,)."""
    metric: Integers
    category: Integers
    tier: Integers

    @property
    def aggregate_count(self) -> int:
        """A: the number of scopes that are not products."""
        return len(self.units) - len(self.price)

    def arrays(self) -> dict[str, np.ndarray]:
        """The small arrays, by their names in an artifact."""
        mapped = {name for names in _MAPPED.values() for name in names}
        return {_saved_name(field.name): getattr(self, field.name) for field in fields(self) if field.name not in mapped}

    def arrow_tables(self) -> dict[str, pa.Table]:
        """The large arrays, by the names of the Arrow files in an artifact."""
        return {name: _to_arrow({_saved_name(column): getattr(self, column) for column in columns}) for name, columns in _MAPPED.items()}

    @classmethod
    def read(cls, saved: Artifact) -> Self:
        """The tables in an artifact. Raises `KeyError` or `ValueError` if it has others."""
        found = {**saved.arrays}
        for name in _MAPPED:
            found |= _from_arrow(saved.tables[name])
        return cls(**{field.name: found[_saved_name(field.name)] for field in fields(cls)})


def _saved_name(field: str) -> str:
    return _SAVED_NAMES.get(field, field)


def _to_arrow(arrays: Mapping[str, np.ndarray]) -> pa.Table:
    """The arrays as columns, whose values are lists of the elements along all further axes."""
    return pa.table({name: pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array[0].size) for name, array in arrays.items()})


def _from_arrow(table: pa.Table) -> dict[str, np.ndarray]:
    """The arrays of `_to_arrow`, not copied; quantiles have an axis of their own."""
    found = {name: table[name].chunk(0).flatten().to_numpy().reshape(len(table), -1) for name in table.column_names}
    return {name: array.reshape(len(table), -1, len(LEVELS)) if name.endswith("knots") else array for name, array in found.items()}
