"""Exponential smoothing of all series at once: a damped trend and a multiplicative season.

Each series tries a small grid of parameters, and the one whose forecasts erred least in sample is kept (Hyndman et al., "Forecasting with
Exponential Smoothing", 2008: the model with multiplicative errors is left out, for sales may be zero).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ml.forecaster.panel import Flags, Numbers

ALPHAS = (0.03, 0.08, 0.2, 0.4, 0.8)
BETA = 0.1
GAMMAS = (0.02, 0.15)
DAMPING = 0.95
# A season's factor is kept above it, so that a phase in which little sells cannot blow the level up.
LEAST_FACTOR = 0.05


@dataclass(frozen=True)
class Smoothed:
    """The states of the filter before every step, from which a forecast at any origin is read.

    level, trend: before each step, and after the last, shape (n, T + 1)
    factors: the season's factor as each step left it, preceded by the ones to begin with, shape (n, season + T)
    """

    level: Numbers
    trend: Numbers
    factors: Numbers
    season: int

    def forecast(self, series: np.ndarray, origin: np.ndarray, step: np.ndarray) -> Numbers:
        """The forecasts of these rows, shape (rows,): of a series, after `origin` steps, `step` steps ahead from 1."""
        # The phase's last step before the origin, in the places of `factors`.
        last = origin + step - 1 - -(-step // self.season) * self.season + self.season
        reach = DAMPING * (1 - DAMPING**step) / (1 - DAMPING)
        ahead: Numbers = np.maximum(self.level[series, origin] + reach * self.trend[series, origin], 0.0) * self.factors[series, last]
        return ahead


def smooth(values: Numbers, rests: Flags, season: int) -> Smoothed:
    """The states of each series under the parameters that suit it.

    values: shape (n, T); NaN is unknown. rests: steps to pass over, shape (n, T).
    """
    known = ~np.isnan(values) & ~rests
    values = np.where(known, np.maximum(values, 0.0), np.nan)
    first_level, first_factors = beginnings(values, season)

    def filtered(alpha: Numbers, beta: Numbers, gamma: Numbers) -> tuple[Smoothed, Numbers]:
        return run(values, known, first_level, first_factors, alpha, beta, gamma)

    # First how fast to learn, without a trend; then whether a trend helps.
    none, one = np.zeros(len(values)), np.ones(len(values))
    choices = list(product(ALPHAS, GAMMAS if season > 1 else (0.0,)))
    errors = np.stack([filtered(alpha * one, none, gamma * one)[1] for alpha, gamma in choices])
    alpha, gamma = np.array(choices)[errors.argmin(axis=0)].T
    steady, steady_error = filtered(alpha, none, gamma)
    trending, trending_error = filtered(alpha, BETA * one, gamma)
    rises = (trending_error < steady_error)[:, None]
    level, trend, factors = (np.where(rises, getattr(trending, name), getattr(steady, name)) for name in ("level", "trend", "factors"))
    return Smoothed(level, trend, factors, season)


def beginnings(values: Numbers, season: int) -> tuple[Numbers, Numbers]:
    """Where the states begin: a level of shape (n,), and factors of shape (n, season) by the phase of the calendar."""
    count = len(values)
    steps = values.shape[1]
    some = ~np.isnan(values)
    first = np.where(some.any(axis=1), some.argmax(axis=1), 0)
    cycles = 4 if season < 52 else 2
    columns = first[:, None] + np.arange(cycles * season if season > 1 else 8)
    inside = columns < steps
    early = np.where(inside, values[np.arange(count)[:, None], np.minimum(columns, steps - 1)], np.nan)
    known = ~np.isnan(early)
    early = np.where(known, early, 0.0)
    level = early.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    factors = np.ones((count, season))
    if season > 1:
        phase = columns % season
        rows = np.broadcast_to(np.arange(count)[:, None], phase.shape)
        total, seen = np.zeros((count, season)), np.zeros((count, season))
        np.add.at(total, (rows, phase), early)
        np.add.at(seen, (rows, phase), known)
        # One average step is added to each phase, which draws those of few values towards 1.
        factors = np.maximum((total / np.maximum(level, 1e-12)[:, None] + 1) / (seen + 1), LEAST_FACTOR)
    return level, factors


def run(
    values: Numbers, known: Flags, level: Numbers, factors: Numbers, alpha: Numbers, beta: Numbers, gamma: Numbers
) -> tuple[Smoothed, Numbers]:
    """The filter's states, and its mean absolute error one season ahead of each series, shape (n,)."""
    count, steps = values.shape
    season = factors.shape[1]
    levels, trends = np.empty((steps + 1, count)), np.empty((steps + 1, count))
    written = np.empty((season + steps, count))
    written[:season] = factors.T
    trend = np.zeros(count)
    error = np.zeros(count)
    levels[0], trends[0] = level, trend
    by_step = np.where(known, values, 0.0).T
    moves = known.T
    for step in range(steps):
        factor = written[step]
        value, move = by_step[step], moves[step]
        expected = level + DAMPING * trend
        error += np.where(move, np.abs(value - np.maximum(expected, 0.0) * factor), 0.0)
        risen = expected + alpha * (value / factor - expected)
        fresh = np.maximum(factor + gamma * (value / np.maximum(risen, 1e-9) - factor), LEAST_FACTOR)
        trend = np.where(move, DAMPING * trend + beta * (risen - expected), trend)
        written[season + step] = np.where(move & (risen > 0), np.minimum(fresh, 20.0), factor)
        level = np.where(move, risen, level)
        levels[step + 1], trends[step + 1] = level, trend
    smoothed = Smoothed(np.ascontiguousarray(levels.T), np.ascontiguousarray(trends.T), np.ascontiguousarray(written.T), season)
    return smoothed, error / np.maximum(known.sum(axis=1), 1)
