"""What a forecaster has forecast, kept in a compact form until the days come, and scored by their sales."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.forecaster.accuracy import HELD_BACK
from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.forecasts import UNITS_METRIC, Scope, ScopeKind
from ml.forecaster.model import Forecaster
from ml.forecaster.quantiles import LEVELS, MEDIAN
from ml.forecaster.scenario import Adjustment

# A quarter: later days are forecast anew before they come.
SERVED_DAYS = 91
KINDS: tuple[ScopeKind, ...] = ("shop", "category", "country", "product")
# The positions in LEVELS of the ends of the bands of 80 and 95 percent.
_ENDS_80, _ENDS_95 = (LEVELS.index(0.1), LEVELS.index(0.9)), (LEVELS.index(0.025), LEVELS.index(0.975))
_KEPT = (*_ENDS_95, *_ENDS_80, MEDIAN)
_COLUMNS = ("lower_95", "upper_95", "lower_80", "upper_80", "median")
# Of each day and level.
_MAX_OUTLIERS = 10
# Twelve of the 24 bits of a float's fraction: errors of a forecast are thousands of times larger than what the others say.
_KEPT_BITS, _HALF = np.uint32(0xFFFFF000), np.uint32(0x00000800)


class DayScore(NamedTuple):
    """How one day of a level was forecast: sums over its series."""

    date: date
    kind: ScopeKind
    horizon_day: int
    """From the last day that the forecast was based on."""
    series_count: int
    actual: float
    error: float
    """Of the means: positive where they were too high."""
    absolute_error: float
    """Of the medians."""
    backtest_error: float
    """What `absolute_error` is by the backtest, given the sales; 0 if the backtest had no sales."""
    open_count: int
    """The number of series if the shop was expected to be open, else 0."""
    covered_80: int
    """How many of `open_count` were within their band of 80 percent."""
    covered_95: int


class Outlier(NamedTuple):
    """A day of a series far outside of its band of 95 percent."""

    date: date
    scope: Scope
    actual: float
    mean: float
    lower: float
    upper: float
    distance: float
    """Beyond the end of the band, in widths of the band, of which one is a unit or more."""


@dataclass(frozen=True)
class ServedForecast:
    """The daily units of N series that a version has forecast for D days."""

    through: date
    """The last day that the forecast is based on; its first day is the next."""
    scopes: tuple[Scope, ...]
    mean: NDArray[np.float32]
    """Shape (N, D)."""
    quantiles: Mapping[str, NDArray[np.float32]]
    """The medians and the ends of the bands, each of shape (N, D)."""
    backtest_errors: Mapping[ScopeKind, float]
    """The absolute error of the medians in the backtest, relative to the sales; without an entry where there were none."""

    @classmethod
    def of(cls, model: Forecaster, adjustment: Adjustment) -> Self:
        """What a model forecasts. adjustment: what the calendar makes of it"""
        tables = model.series(Scope(), UNITS_METRIC).tables
        count = tables.aggregate_count
        weights = np.array([adjustment.factors(scope, UNITS_METRIC)[:SERVED_DAYS] for scope in model.scopes])
        # Of the aggregates, those in units.
        rows = np.concatenate([np.arange(count), np.arange(2 * count, len(tables.quantiles))])
        quantiles = {
            name: _shorten(np.maximum(tables.quantiles[rows, :SERVED_DAYS, level] * weights, 0))
            for name, level in zip(_COLUMNS, _KEPT, strict=True)
        }
        sold, median = tables.units[:, -HELD_BACK:].astype(np.float64), tables.backtest_quantiles[rows, :, MEDIAN]
        errors = {}
        for kind in KINDS:
            own = _of_kind(model.scopes, kind)
            if total := sold[own].sum():
                errors[kind] = float(np.abs(median[own] - sold[own]).sum() / total)
        return cls(model.through, model.scopes, _shorten(tables.mean_units[:, :SERVED_DAYS] * weights), quantiles, errors)

    def to_parquet(self) -> bytes:
        """The forecast as a file: one row per series."""
        columns = {
            "kind": pa.array([scope.kind for scope in self.scopes]).dictionary_encode(),
            "name": pa.array([scope.name for scope in self.scopes]),
            **{name: pa.FixedSizeListArray.from_arrays(values.ravel(), SERVED_DAYS) for name, values in self._arrays().items()},
        }
        facts = {"through": self.through.isoformat(), "backtest_errors": json.dumps(self.backtest_errors)}
        file = io.BytesIO()
        # Floats of similar size have the same first bytes: apart from the others, these take next to no space.
        floats = [f"{name}.list.element" for name in self._arrays()]
        table = pa.table(columns).replace_schema_metadata(facts)
        pq.write_table(table, file, compression="zstd", use_dictionary=["kind"], use_byte_stream_split=floats)
        return file.getvalue()

    @classmethod
    def from_parquet(cls, content: bytes) -> Self:
        """Reads a file of `to_parquet`."""
        # In this thread alone, as in `lake.reading.read_parquet`.
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        arrays = {name: table[name].combine_chunks().flatten().to_numpy().reshape(len(table), -1) for name in ("mean", *_COLUMNS)}
        facts = table.schema.metadata
        return cls(
            through=date.fromisoformat(facts[b"through"].decode()),
            scopes=tuple(map(Scope, table["kind"].to_pylist(), table["name"].to_pylist())),
            mean=arrays.pop("mean"),
            quantiles=arrays,
            backtest_errors=json.loads(facts[b"backtest_errors"]),
        )

    def score(self, first_date: date, actual: Floats) -> tuple[list[DayScore], list[Outlier]]:
        """The scores of consecutive days, and the outliers among them.

        first_date: of the days, which are all among those that were forecast
        actual: the units that were sold, shape (N, days)
        """
        offset = (first_date - self.through).days - 1
        days = slice(offset, offset + actual.shape[1])
        mean = self.mean[:, days].astype(np.float64)
        bands = {name: values[:, days].astype(np.float64) for name, values in self.quantiles.items()}
        open_days = mean[self.scopes.index(Scope())] > 0
        sums = {
            "actual": actual,
            "error": mean - actual,
            "absolute_error": np.abs(bands["median"] - actual),
            **{
                f"covered_{level}": (actual >= bands[f"lower_{level}"]) & (actual <= bands[f"upper_{level}"]) & open_days
                for level in (80, 95)
            },
        }
        scores, outliers = list[DayScore](), list[Outlier]()
        for kind in KINDS:
            own = np.flatnonzero(_of_kind(self.scopes, kind))
            totals = {name: values[own].sum(axis=0).tolist() for name, values in sums.items()}
            for day, is_open in enumerate(open_days.tolist()):
                scores.append(
                    DayScore(
                        date=first_date + timedelta(days=day),
                        kind=kind,
                        horizon_day=offset + day + 1,
                        series_count=len(own),
                        backtest_error=self.backtest_errors.get(kind, 0.0) * totals["actual"][day],
                        open_count=len(own) if is_open else 0,
                        **{name: values[day] for name, values in totals.items()},
                    )
                )
            outliers += self._outliers(own, first_date, actual, mean, bands)
        return scores, outliers

    def _outliers(self, own: Integers, first_date: date, actual: Floats, mean: Floats, bands: Mapping[str, Floats]) -> Iterator[Outlier]:
        """The farthest outliers of each day. own: the series of a kind, by their indices"""
        lower, upper = bands["lower_95"], bands["upper_95"]
        distances = np.maximum(lower - actual, actual - upper) / np.maximum(upper - lower, 1)
        for day in range(actual.shape[1]):
            farthest = own[np.argsort(-distances[own, day], kind="stable")[:_MAX_OUTLIERS]]
            for row in farthest[distances[farthest, day] > 1].tolist():
                values = (float(array[row, day]) for array in (actual, mean, lower, upper, distances))
                yield Outlier(first_date + timedelta(days=day), self.scopes[row], *values)

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        return {"mean": self.mean, **self.quantiles}


def _of_kind(scopes: tuple[Scope, ...], kind: ScopeKind) -> Booleans:
    return np.array([scope.kind == kind for scope in scopes])


def _shorten(values: Floats) -> NDArray[np.float32]:
    """The values, rounded to what the file keeps of them."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + _HALF) & _KEPT_BITS).view(np.float32)
