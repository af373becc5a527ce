"""Periods of several days: what is expected of their sums, and how far these stray.

The quantiles of days do not add up to those of a week, for errors of days that follow each other are alike, and how much so is not the same
for a shop and for a product. So the errors of sums are measured themselves: on past forecasts, over blocks of several lengths, in units of
the spread that independent days would have; whatever holds days together is in their quantiles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.panel import Numbers
from ml.forecaster.quantiles import KNOTS, score

# The block lengths that are measured, in days; errors of lengths between are taken from between.
LENGTHS = (1, 3, 7, 14, 28)
LOWER, UPPER = KNOTS.index(0.1), KNOTS.index(0.9)
# Where the quantiles of errors are kept: with few blocks there is nothing to see further out.
LEVELS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.995)


def kinds(kind: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which kinds of series err alike, as codes: the shop with its categories, which are few; the countries; the products."""
    return np.maximum(kind - 1, 0)


def spread(knots: Numbers) -> Numbers:
    """The standard deviation of each day, were it normal between its outer deciles, shape of `knots` without the last."""
    return (knots[..., UPPER] - knots[..., LOWER]) / (2 * score(0.9))


def learn(actual: Numbers, mean: Numbers, knots: Numbers, kind: NDArray[np.int64]) -> Numbers:
    """The quantiles at LEVELS of the errors of sums, in units of their spread, shape (kinds, lengths, levels).

    actual, mean: of past days in a row, forecast at one time, shape (n, d); NaN where unknown
    knots: of the same days, shape (n, d, knots)
    kind: which series are alike in this, codes from 0, shape (n,)
    """
    days = actual.shape[1]
    errors = np.zeros((int(kind.max()) + 1, len(LENGTHS), len(LEVELS)))
    for place, length in enumerate(LENGTHS):
        blocks = days // length
        shape = (len(actual), blocks, length)
        used = slice(0, blocks * length)
        missed = (actual - mean)[:, used].reshape(shape).sum(axis=2)
        wide = np.sqrt((spread(knots)[:, used] ** 2).reshape(shape).sum(axis=2))
        for code in range(len(errors)):
            counted = (kind == code)[:, None] & (wide > 0) & ~np.isnan(missed)
            if counted.any():
                errors[code, place] = np.quantile(missed[counted] / wide[counted], LEVELS)
    return errors


@dataclass(frozen=True)
class Sums:
    """What is expected of periods' sums: `mean`, shape (p,), and `at` the levels asked for, shape (p, levels)."""

    mean: Numbers
    at: Numbers


def sums(mean: Numbers, knots: Numbers, starts: NDArray[np.int64], errors: Numbers, levels: tuple[float, ...]) -> Sums:
    """The sums of periods of days.

    mean, knots: of each day, shape (d,) and (d, knots)
    starts: the first day of each period, from 0, in order
    errors: as learned for series of this kind, shape (lengths, levels)
    """
    ends = np.append(starts[1:], len(mean))
    total = np.add.reduceat(mean, starts)
    wide = np.sqrt(np.add.reduceat(spread(knots) ** 2, starts))
    # Most periods are of the same length.
    lengths, place = np.unique(ends - starts, return_inverse=True)
    by_level = np.array([np.interp(lengths, LENGTHS, column) for column in errors.T]).T
    kept = np.array([score(level) for level in LEVELS])
    wanted = np.array([score(level) for level in levels])
    told = np.array([np.interp(wanted, kept, row) for row in by_level])
    return Sums(total, np.maximum(total[:, None] + wide[:, None] * told[place], 0.0))
