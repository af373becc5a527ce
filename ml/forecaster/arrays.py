"""Array types, and means of arrays in which NaN is an unknown value."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]


def overall_mean(values: Floats) -> float:
    """The mean of all known values; NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def row_means(values: Floats) -> Floats:
    """The mean of each row's known values, shape (rows,); NaN for a row without any."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean


def row_quantiles(values: Floats, level: float) -> Floats:
    """The quantile of each row's known values, without interpolation, shape (rows,); NaN for a row without any."""
    ordered = np.sort(values, axis=1)
    count = (~np.isnan(values)).sum(axis=1)
    index = np.minimum((level * count).astype(np.int64), np.maximum(count - 1, 0))
    found: Floats = ordered[np.arange(len(values)), index]
    return found


def positive_or_nan(values: Floats) -> Floats:
    """The values with NaN in place of those that are not positive, for use as divisors."""
    return np.where(values > 0, values, np.nan)
