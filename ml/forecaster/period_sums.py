"""Distributions of sums over several days.

The quantiles of days do not add up to those of a week: errors of consecutive days are correlated, and differently for a shop and for a
product. So the errors of sums are measured on past forecasts, over blocks of several lengths, in units of the standard deviation that the
sum of independent days would have.
"""

from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.quantiles import LOWER_DECILE, UPPER_DECILE, normal_score

# The block lengths that are measured, in days; the errors of other lengths are interpolated.
LENGTHS = (1, 3, 7, 14, 28)
# The levels of the stored quantiles of errors: the blocks are too few for levels further out.
ERROR_LEVELS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.995)


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
    """The quantiles at ERROR_LEVELS of the errors of sums, in units of their standard deviation, shape (groups, lengths, levels).

    actual, mean: consecutive past days, forecast from one origin, shape (n, d); NaN is unknown
    quantiles: of the same days, shape (n, d, 7)
    group: the series that share errors, codes from 0, shape (n,)
    """
    days = actual.shape[1]
    errors = np.zeros((int(group.max()) + 1, len(LENGTHS), len(ERROR_LEVELS)))
    for column, length in enumerate(LENGTHS):
        blocks = days // length
        shape = (len(actual), blocks, length)
        used = slice(0, blocks * length)
        error = (actual - mean)[:, used].reshape(shape).sum(axis=2)
        deviation = np.sqrt((daily_deviations(quantiles)[:, used] ** 2).reshape(shape).sum(axis=2))
        for code in range(len(errors)):
            counted = (group == code)[:, None] & (deviation > 0) & ~np.isnan(error)
            if counted.any():
                errors[code, column] = np.quantile(error[counted] / deviation[counted], ERROR_LEVELS)
    return errors


def sum_periods(mean: Floats, quantiles: Floats, starts: Integers, errors: Floats, levels: tuple[float, ...]) -> PeriodSums:
    """The forecast sums of periods.

    mean, quantiles: of each day, shape (d,) and (d, 7)
    starts: the index of each period's first day, in order
    errors: of the series' group, as from `measure_errors`, shape (lengths, levels)
    levels: of the quantiles to return
    """
    ends = np.append(starts[1:], len(mean))
    total = np.add.reduceat(mean, starts)
    deviation = np.sqrt(np.add.reduceat(daily_deviations(quantiles) ** 2, starts))
    # Few periods differ in length, so errors are interpolated once for each length.
    lengths, index = np.unique(ends - starts, return_inverse=True)
    relative = _relative_errors(errors, lengths, levels)
    return PeriodSums(total, np.maximum(total[:, None] + deviation[:, None] * relative[index], 0.0))


def _relative_errors(errors: Floats, lengths: Integers, levels: tuple[float, ...]) -> Floats:
    """The quantiles of the errors of sums of so many days, in units of their standard deviation, shape (lengths, levels).

    errors: of one group, as from `measure_errors`, shape (LENGTHS, ERROR_LEVELS)
    """
    by_length = np.array([np.interp(lengths, LENGTHS, column) for column in errors.T]).T
    stored = np.array([normal_score(level) for level in ERROR_LEVELS])
    wanted = np.array([normal_score(level) for level in levels])
    return np.array([np.interp(wanted, stored, row) for row in by_length])


def daily_deviations(quantiles: Floats) -> Floats:
    """The standard deviation of each day, as if it were normal between its outer deciles, shape (..., d)."""
    return (quantiles[..., UPPER_DECILE] - quantiles[..., LOWER_DECILE]) / (2 * normal_score(0.9))
