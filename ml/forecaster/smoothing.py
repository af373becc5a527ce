"""Exponential smoothing of all series at once, with a damped trend and a multiplicative season.

Each series gets the parameters of a small grid with the least one-step errors in sample (Hyndman et al., "Forecasting with Exponential
Smoothing", 2008; models with multiplicative errors are left out, because sales may be zero).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, Integers

ALPHAS = (0.03, 0.08, 0.2, 0.4, 0.8)
BETA = 0.1
GAMMAS = (0.02, 0.15)
DAMPING = 0.95
# Bounds of the seasonal factors: a phase with few sales must not blow up the level, nor one step the factor.
MIN_FACTOR, MAX_FACTOR = 0.05, 20.0


@dataclass(frozen=True)
class SmoothingStates:
    """The states of the filter at every step, from which forecasts from any origin are made."""

    level: Floats
    """Before each step, and after the last, shape (n, T + 1)."""
    trend: Floats
    """As `level`."""
    factors: Floats
    """The seasonal factor of each step after its update, preceded by the initial ones, shape (n, season + T)."""
    season: int

    def forecast(self, series: Integers, origin: Integers, step: Integers) -> Floats:
        """The forecasts of these rows, shape (rows,): of a series, from the origin, `step` steps ahead, from 1."""
        # The column of `factors` for the last step before the origin in the same phase.
        last = origin + step - 1 - -(-step // self.season) * self.season + self.season
        damped = DAMPING * (1 - DAMPING**step) / (1 - DAMPING)
        ahead: Floats = np.maximum(self.level[series, origin] + damped * self.trend[series, origin], 0.0) * self.factors[series, last]
        return ahead


@dataclass(frozen=True)
class _Rates:
    """Smoothing parameters of each series, shape (n,)."""

    alpha: Floats
    beta: Floats
    gamma: Floats


def smooth(values: Floats, closed: Booleans, season: int) -> SmoothingStates:
    """The states of each series under its best parameters.

    values: shape (n, T); NaN is unknown
    closed: steps to skip, shape (n, T)
    """
    known = ~np.isnan(values) & ~closed
    values = np.where(known, np.maximum(values, 0.0), np.nan)
    level, factors = _initial_states(values, season)

    def run(alpha: Floats, beta: Floats, gamma: Floats) -> tuple[SmoothingStates, Floats]:
        return _filter(values, known, level, factors, _Rates(alpha, beta, gamma))

    # First the rates without a trend; then whether a trend helps.
    zero, one = np.zeros(len(values)), np.ones(len(values))
    grid = list(product(ALPHAS, GAMMAS if season > 1 else (0.0,)))
    errors = np.stack([run(alpha * one, zero, gamma * one)[1] for alpha, gamma in grid])
    alpha, gamma = np.array(grid)[errors.argmin(axis=0)].T
    without, error_without = run(alpha, zero, gamma)
    with_trend, error_with = run(alpha, BETA * one, gamma)
    better = (error_with < error_without)[:, None]
    return SmoothingStates(
        np.where(better, with_trend.level, without.level),
        np.where(better, with_trend.trend, without.trend),
        np.where(better, with_trend.factors, without.factors),
        season,
    )


def _initial_states(values: Floats, season: int) -> tuple[Floats, Floats]:
    """The initial level, shape (n,), and seasonal factors by phase of the calendar, shape (n, season), from the first few seasons."""
    count, steps = values.shape
    known = ~np.isnan(values)
    first = np.where(known.any(axis=1), known.argmax(axis=1), 0)
    seasons = 4 if season < 52 else 2
    columns = first[:, None] + np.arange(seasons * season if season > 1 else 8)
    early = np.where(columns < steps, values[np.arange(count)[:, None], np.minimum(columns, steps - 1)], np.nan)
    known = ~np.isnan(early)
    early = np.where(known, early, 0.0)
    level = early.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    factors = np.ones((count, season))
    if season > 1:
        phase = columns % season
        rows = np.broadcast_to(np.arange(count)[:, None], phase.shape)
        total, observed = np.zeros((count, season)), np.zeros((count, season))
        np.add.at(total, (rows, phase), early)
        np.add.at(observed, (rows, phase), known)
        # One average step is added to each phase, which shrinks the factors of phases with few values to 1.
        factors = np.maximum((total / np.maximum(level, 1e-12)[:, None] + 1) / (observed + 1), MIN_FACTOR)
    return level, factors


def _filter(values: Floats, known: Booleans, level: Floats, initial_factors: Floats, rates: _Rates) -> tuple[SmoothingStates, Floats]:
    """Runs the filter. Returns its states, and the mean absolute one-step error of each series, shape (n,)."""
    count, steps = values.shape
    season = initial_factors.shape[1]
    levels, trends = np.empty((steps + 1, count)), np.empty((steps + 1, count))
    factors = np.empty((season + steps, count))
    factors[:season] = initial_factors.T
    trend = np.zeros(count)
    error = np.zeros(count)
    levels[0], trends[0] = level, trend
    # Steps first, so that each step's values lie next to each other in memory.
    values_by_step, known_by_step = np.where(known, values, 0.0).T, known.T
    for step in range(steps):
        factor, value, update = factors[step], values_by_step[step], known_by_step[step]
        expected = level + DAMPING * trend
        error += np.where(update, np.abs(value - np.maximum(expected, 0.0) * factor), 0.0)
        corrected = expected + rates.alpha * (value / factor - expected)
        new_factor = np.maximum(factor + rates.gamma * (value / np.maximum(corrected, 1e-9) - factor), MIN_FACTOR)
        trend = np.where(update, DAMPING * trend + rates.beta * (corrected - expected), trend)
        factors[season + step] = np.where(update & (corrected > 0), np.minimum(new_factor, MAX_FACTOR), factor)
        level = np.where(update, corrected, level)
        levels[step + 1], trends[step + 1] = level, trend
    states = SmoothingStates(np.ascontiguousarray(levels.T), np.ascontiguousarray(trends.T), np.ascontiguousarray(factors.T), season)
    return states, error / np.maximum(known.sum(axis=1), 1)
