"""Sampling of the rows that models are trained on."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.features import Features
from ml.forecaster.hyperparameters import Hyperparameters

# The steps of a series that pass before it is trained on.
MIN_HISTORY = 8
# A target is drawn with at most so many different steps ahead, on average: more rows of a small panel add nothing.
MAX_ROWS_PER_TARGET = 10


@dataclass(frozen=True)
class Sampling:
    """The distribution of the rows to train on."""

    horizon: int
    """The steps ahead are drawn from 1 to the horizon …"""
    near: int
    """… and half of them from 1 to this."""
    weights: Floats
    """How often each series is drawn, in any unit, shape (n,)."""


class Rows(NamedTuple):
    """Series, origin and step ahead of each row, each of shape (rows,)."""

    series: Integers
    origin: Integers
    step: Integers


def sample_rows(features: Features, sampling: Sampling, start: int, end: int, hyperparameters: Hyperparameters) -> Rows:
    """Random rows whose origin and target lie in the steps `start` to `end` (exclusive), the target known and not closed."""
    rng = np.random.default_rng((hyperparameters.seed, start))
    targets = int(features.known[sampling.weights > 0, start:end].sum())
    wanted = min(hyperparameters.rows, targets * min(sampling.horizon, MAX_ROWS_PER_TARGET))
    # More than wanted, because some do not fit between start and end.
    count = 3 * wanted
    weights = np.where(features.first + MIN_HISTORY < end, sampling.weights, 0.0)
    if not weights.any():
        return Rows(*(np.zeros(0, dtype=np.int64),) * 3)
    series = rng.choice(len(weights), count, p=weights / weights.sum())
    horizon = np.where(rng.random(count) < 0.5, sampling.near, sampling.horizon)
    step = 1 + (rng.random(count) * horizon).astype(np.int64)
    earliest = np.maximum(features.first[series] + MIN_HISTORY, max(start, end - hyperparameters.span, 1))
    room = end - step - earliest + 1
    origin = earliest + (rng.random(count) * np.maximum(room, 1)).astype(np.int64)
    fits = (room > 0) & (origin + step <= end)
    series, origin, step = series[fits], origin[fits], step[fits]
    chosen = np.flatnonzero(features.known[series, origin + step - 1])[:wanted]
    return Rows(series[chosen], origin[chosen], step[chosen])
