"""Distributions of sums over several days.

The quantiles of days do not add up to those of a week: errors of consecutive days are correlated, and differently for a shop and for a
product. So the errors of sums are measured on past forecasts, over blocks of several lengths, in units of the standard deviation that the
sum of independent days would have, and for small and large sums apart.
"""

from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.quantiles import LOWER_DECILE, UPPER_DECILE, normal_score

# The block lengths that are measured, in days; the errors of other lengths are interpolated.
LENGTHS = (1, 3, 7, 14, 28)
# The levels of the stored quantiles of errors: the blocks are too few for levels further out.
ERROR_LEVELS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.995)


# The bounds of the sizes of sums by their mean, in units.
SIZES = (0.25, 1.0, 4.0, 16.0, 64.0, 256.0)
# Fewer errors are too few for a size of their own.
MIN_ERRORS = 100
# The first size that is not small: the sums of products that hardly sell say nothing of others.
_LARGE = SIZES.index(1.0) + 1


@dataclass(frozen=True)
class PeriodSums:
    """The forecast sums of p periods."""

    mean: Floats
    """Shape (p,)."""
    quantiles: Floats
    """Shape (p, levels)."""


def error_groups(kind: Integers) -> Integers:
    """Groups of kinds of series that share errors, as codes: the shop with its categories, which are few; countries; products."""
    return np.maximum(kind - 1, 0)


def measure_errors(actual: Floats, mean: Floats, quantiles: Floats, group: Integers) -> Floats:
    """The quantiles at ERROR_LEVELS of the errors of sums, in units of their standard deviation, shape (groups, sizes, lengths, levels).

    A product that hardly sells deviates from its mean in another way than one that sells daily, so sums share errors with those of their
    group that are expected to be of their size.

    actual, mean: consecutive past days, forecast from one origin, shape (n, d); NaN is unknown
    quantiles: of the same days, shape (n, d, 7)
    group: the series that share errors, codes from 0, shape (n,)
    """
    variance = daily_variances(mean, quantiles)
    errors = np.zeros((int(group.max()) + 1, len(SIZES) + 1, len(LENGTHS), len(ERROR_LEVELS)))
    for column, length in enumerate(LENGTHS):
        shape = (len(actual), actual.shape[1] // length, length)
        used = slice(0, shape[1] * length)
        error, expected, squared = (array[:, used].reshape(shape).sum(axis=2) for array in (actual - mean, mean, variance))
        counted = (squared > 0) & ~np.isnan(error)
        relative = np.divide(error, np.sqrt(squared), out=np.zeros_like(error), where=counted)
        for code in range(len(errors)):
            members = counted & (group == code)[:, None]
            errors[code, :, column] = _quantiles_by_size(relative[members], np.searchsorted(SIZES, expected[members], side="right"))
    return errors


def sum_periods(
    mean: Floats, quantiles: Floats, starts: Integers, errors: Floats, levels: tuple[float, ...], unit: float = 1.0
) -> PeriodSums:
    """The forecast sums of periods.

    mean, quantiles: of each day, shape (d,) and (d, 7)
    starts: the index of each period's first day, in order
    errors: of the series' group, as from `measure_errors`, shape (sizes, lengths, levels)
    levels: of the quantiles to return
    unit: the worth of one of the things that are sold one by one, such as the price where the mean is revenue
    """
    ends = np.append(starts[1:], len(mean))
    total = np.add.reduceat(mean, starts)
    deviation = np.sqrt(np.add.reduceat(daily_variances(mean, quantiles, unit), starts))
    size = np.searchsorted(SIZES, total / unit if unit else total, side="right")
    # Few periods differ in length and size, so errors are interpolated once for each.
    kinds, index = np.unique(np.column_stack((ends - starts, size)), axis=0, return_inverse=True)
    relative = np.array([_relative_errors(errors[size], length, levels) for length, size in kinds])
    return PeriodSums(total, np.maximum(total[:, None] + deviation[:, None] * relative[index.ravel()], 0.0))


def daily_variances(mean: Floats, quantiles: Floats, unit: float = 1.0) -> Floats:
    """The variance of each day, shape (..., d): at least that of a Poisson distribution, as units are sold one by one at best.

    mean, quantiles: of each day, shape (..., d) and (..., d, 7)
    unit: as of `sum_periods`
    """
    return np.maximum(_daily_deviations(quantiles) ** 2, mean * unit)


def _quantiles_by_size(relative: Floats, size: Integers) -> Floats:
    """The quantiles at ERROR_LEVELS of errors, by size, shape (sizes, levels); of all sums that are not small, where a size has few.

    relative, size: of each sum, shape (sums,)
    """
    found = np.zeros((len(SIZES) + 1, len(ERROR_LEVELS)))
    if not len(relative):
        return found
    large = size >= _LARGE
    found[:] = np.quantile(relative[large] if large.any() else relative, ERROR_LEVELS)
    for code in range(len(found)):
        members = relative[size == code]
        if len(members) >= MIN_ERRORS:
            found[code] = np.quantile(members, ERROR_LEVELS)
    return found


def _relative_errors(errors: Floats, length: int, levels: tuple[float, ...]) -> Floats:
    """The quantiles of the errors of sums of so many days, in units of their standard deviation, shape (levels,).

    errors: of one group and size, as from `measure_errors`, shape (LENGTHS, ERROR_LEVELS)
    """
    of_length = np.array([np.interp(length, LENGTHS, column) for column in errors.T])
    stored = np.array([normal_score(level) for level in ERROR_LEVELS])
    found: Floats = np.interp([normal_score(level) for level in levels], stored, of_length)
    return found


def _daily_deviations(quantiles: Floats) -> Floats:
    """The standard deviation of each day, as if it were normal between its outer deciles, shape (..., d)."""
    return (quantiles[..., UPPER_DECILE] - quantiles[..., LOWER_DECILE]) / (2 * normal_score(0.9))
