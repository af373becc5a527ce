"""Exponential smoothing of all series at once, with a damped trend and a multiplicative season.

Each series gets the parameters of a small grid with the least one-step errors in sample (Hyndman et al., "Forecasting with Exponential
Smoothing", 2008; models with multiplicative errors are left out, because sales may be zero). The state before a step depends on the steps
before it alone: there are no initial states from later ones, so that forecasts of the past are no better than those to come. Gains fall to
their rates from those of a running mean.
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
# The first known steps of a series, in which it has no trend yet.
FIRST_STEPS = 8


@dataclass(frozen=True)
class SmoothingStates:
    """The states of the filter at every step, from which forecasts from any origin are made."""

    level: Floats
    """Before each step, and after the last, shape (n, T + 1)."""
    trend: Floats
    """As `level`."""
    factors: Floats
    """The seasonal factor of each step after its update, preceded by those of a season before the first, shape (n, season + T)."""
    season: int
    seasonal: Integers
    """The first origin of each series that knows a whole season, shape (n,); factors are 1 before."""

    def forecast(self, series: Integers, origin: Integers, step: Integers) -> Floats:
        """The forecasts of these rows, shape (rows,): of a series, from the origin, `step` steps ahead, from 1."""
        # The column of `factors` for the last step before the origin in the same phase.
        last = origin + step - 1 - -(-step // self.season) * self.season + self.season
        damped = DAMPING * (1 - DAMPING**step) / (1 - DAMPING)
        factor = np.where(origin >= self.seasonal[series], self.factors[series, last], 1.0)
        ahead: Floats = np.maximum(self.level[series, origin] + damped * self.trend[series, origin], 0.0) * factor
        return ahead


@dataclass(frozen=True)
class _Rates:
    """Smoothing parameters of each series, shape (n,)."""

    alpha: Floats
    beta: Floats
    gamma: Floats


def smooth(values: Floats, closed: Booleans, season: int, end: int | None = None) -> SmoothingStates:
    """The states of each series under its best parameters.

    values: shape (n, T); NaN is unknown
    closed: steps to skip, shape (n, T)
    end: parameters are those that are best on the steps before this one; by default on all
    """
    known = ~np.isnan(values) & ~closed
    values = np.where(known, np.maximum(values, 0.0), np.nan)

    def run(alpha: Floats, beta: Floats, gamma: Floats) -> tuple[SmoothingStates, Floats]:
        return _filter(values, known, season, _Rates(alpha, beta, gamma), values.shape[1] if end is None else end)

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
        without.seasonal,
    )


def _filter(values: Floats, known: Booleans, season: int, rates: _Rates, end: int) -> tuple[SmoothingStates, Floats]:
    """Runs the filter. Returns its states, and the sum of the absolute one-step errors of each series before the step `end`, shape (n,)."""
    count, steps = values.shape
    levels, trends = np.zeros((steps + 1, count)), np.zeros((steps + 1, count))
    factors = np.ones((season + steps, count))
    level, trend, error, seen = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
    first = np.where(known.any(axis=1), known.argmax(axis=1), steps)
    # Steps first, so that each step's values lie next to each other in memory.
    values_by_step, known_by_step = np.where(known, values, 0.0).T, known.T
    for step in range(steps):
        factor, value, update = factors[step], values_by_step[step], known_by_step[step]
        age = step - first
        expected = level + DAMPING * trend
        if step < end:
            error += np.where(update & (seen > 0), np.abs(value - np.maximum(expected, 0.0) * factor), 0.0)
        gain = np.maximum(rates.alpha, 1 / (seen + 1))
        corrected = expected + gain * (value / factor - expected)
        # A season that was seen so often, and one average season before.
        seasonal_gain = np.where(age >= season, np.maximum(rates.gamma, 1 / (np.maximum(age, 0) // season + 2)), 0.0)
        new_factor = np.maximum(factor + seasonal_gain * (value / np.maximum(corrected, 1e-9) - factor), MIN_FACTOR)
        beta = np.where(age >= max(season, FIRST_STEPS), rates.beta, 0.0)
        trend = np.where(update, DAMPING * trend + beta * (corrected - expected), trend)
        factors[season + step] = np.where(update & (corrected > 0), np.minimum(new_factor, MAX_FACTOR), factor)
        level = np.where(update, corrected, level)
        seen += update
        levels[step + 1], trends[step + 1] = level, trend
        if season > 1 and len(ending := np.flatnonzero(age == season - 1)):
            factors[step + 1 : step + 1 + season, ending] = _first_factors(
                values_by_step[step + 1 - season : step + 1, ending], known_by_step[step + 1 - season : step + 1, ending]
            )
    states = SmoothingStates(
        np.ascontiguousarray(levels.T), np.ascontiguousarray(trends.T), np.ascontiguousarray(factors.T), season, first + season
    )
    return states, error


def _first_factors(values: Floats, known: Booleans) -> Floats:
    """The factors after the first season, shape (season, n): half-way between the season's and 1. values, known: of that season"""
    mean = values.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    ratio = np.where(known & (mean > 0), values / np.maximum(mean, 1e-12), 1.0)
    return np.clip((ratio + 1) / 2, MIN_FACTOR, MAX_FACTOR)
