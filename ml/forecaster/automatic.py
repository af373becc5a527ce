"""Forecasts of any panel, by what does best on its own last steps.

The last windows of the history are held back. Boosters of several losses and scales, exponential smoothing, Theta and rules that repeat the
past are fitted before them; their forecasts of these windows decide the weights of each in the median and in the mean, the number of trees,
and how wide intervals must be. Then what was chosen is fitted to all steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.classical import forecast_members, model_members, rule_members
from ml.forecaster.conformal import Conformal, Units, calibrate
from ml.forecaster.context import build_context
from ml.forecaster.features import Features
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.learned import LEVEL_SCALE, SMOOTHED_SCALE, YEAR_SCALE, Learned, Variant, scale_of, train_variants
from ml.forecaster.metrics import SCORED_LEVELS, seasonal_scale, squared_scale
from ml.forecaster.mixing import mix, select_weights
from ml.forecaster.panel import Panel
from ml.forecaster.sampling import Rows, Sampling, sample_rows

# At most a third of the history is held back, in at most so many windows, and forecast for so many series.
HELD_WINDOWS, HELD_SHARE, HELD_SERIES = 3, 3, 300
# A panel of fewer series has more windows, or its errors would be too few.
FEW_SERIES, FEW_SERIES_WINDOWS = 20, 6
# Trees are chosen among these; the deciles, of which only the spread is used, have fewer.
ROUNDS, SPREAD_ROUNDS = (40, 80, 160, 240), 100
# Fewer rows teach a booster nothing.
MIN_ROWS = 50
# What boosters learn of the distance of the outer deciles is at least this share of the level.
MIN_SPREAD_SHARE = 0.1
# A series that never sold in so many known steps is not expected to.
SILENT_STEPS = 8
# A scaled error of a step counts as no more than this, or the series that hardly ever changed would decide alone.
MAX_ERROR = 10.0
SCALES = (LEVEL_SCALE, SMOOTHED_SCALE, YEAR_SCALE)


class PanelForecast(NamedTuple):
    """The forecasts of a panel."""

    mean: Floats
    """Shape (n, H)."""
    quantiles: Floats
    """At SCORED_LEVELS, shape (n, H, 11)."""
    choices: dict[str, object]
    """What was chosen on the steps held back, with the errors that decided it."""


@dataclass(frozen=True)
class _Plan:
    """What was chosen on the steps held back."""

    rounds: Mapping[Variant, int]
    median: dict[str, float]
    """The weights of the members of the median."""
    mean: dict[str, float]
    spread: tuple[Variant, Variant] | None
    """The boosters of the outer deciles; None for a panel that is too small for boosters."""
    conformal: Conformal
    choices: dict[str, object]


def forecast_panel(panel: Panel, hyperparameters: Hyperparameters, report: Callable[[str], None] = lambda _: None) -> PanelForecast:
    """Forecasts the steps to come. report: is called with a description of each stage of the work"""
    features = Features(panel)
    report("choosing on the last steps")
    plan = _choose(panel, hyperparameters)
    report("fitting to all steps")
    series = np.arange(len(panel.names))
    rows = _window_rows(series, panel.length, panel.horizon)
    learned = _train(features, panel.length, plan.rounds, hyperparameters)
    members = {**rule_members(features), **model_members(features)}
    used = {name: member for name, member in members.items() if name in plan.median or name in plan.mean}
    forecasts = {name: made.ravel() for name, made in forecast_members(used, features, series, panel.length, panel.horizon).items()}
    matrix = features.rows(*rows)
    forecasts |= _learned_forecasts(features, learned, rows, matrix, plan.rounds)
    median = mix(forecasts, plan.median)
    quantiles = plan.conformal.quantiles(median, _units(features, plan.spread, forecasts, rows), rows.step)
    zero = features.closed[rows.series, rows.origin + rows.step - 1] | _silent(panel)[rows.series]
    shape = len(series), panel.horizon
    return PanelForecast(
        np.where(zero, 0.0, mix(forecasts, plan.mean)).reshape(shape),
        np.where(zero[:, None], 0.0, quantiles).reshape(*shape, len(SCORED_LEVELS)),
        plan.choices,
    )


def _choose(panel: Panel, hyperparameters: Hyperparameters) -> _Plan:
    """Compares all members on the last windows of the history."""
    width = _held_steps(panel)
    most = HELD_WINDOWS if len(panel.names) >= FEW_SERIES else FEW_SERIES_WINDOWS
    windows = min(most, max(panel.length // HELD_SHARE // width, 1))
    cut = panel.length - windows * width
    # Without parameters that the steps held back decided.
    features = Features(panel, build_context(panel, end=cut))
    origins = [cut + window * width for window in range(windows)]
    series = _held_series(features, cut, hyperparameters.seed)
    everything = Rows(*(np.concatenate(parts) for parts in zip(*(_window_rows(series, origin, width) for origin in origins), strict=True)))
    known = features.known[everything.series, everything.origin + everything.step - 1]
    rows = Rows(*(index[known] for index in everything))
    held = _Held(rows, features.rows(*rows), panel)
    members = {**rule_members(features), **model_members(features)}
    by_origin = [forecast_members(members, features, series, origin, width) for origin in origins]
    forecasts = {name: np.concatenate([made[name].ravel() for made in by_origin])[known] for name in members}
    rounds: dict[Variant, int] = {}
    spread = None
    half = replace(hyperparameters, rows=hyperparameters.rows // 2)
    training = _training_rows(features, cut, panel.horizon, half)
    if len(training.series) >= MIN_ROWS and len(rows.series):
        made, rounds, scale = _choose_boosters(features, training, held, half)
        spread = Variant("lower", scale), Variant("upper", scale)
        forecasts |= made
    if not len(rows.series):
        return _Plan({}, {"smoothed": 1.0}, {"smoothed": 1.0}, None, _no_errors(), {"held_back": "nothing that is known"})
    medians = {name: made for name, made in forecasts.items() if not name.startswith(("lower", "upper", "mean"))}
    # Medians of series that rarely sell are zero, which is a small squared error and no mean.
    means = {name: made for name, made in forecasts.items() if not name.startswith(("lower", "upper", "median", "log"))}
    kinds = [[name for name in forecasts if name.startswith(("median", "log", "mean"))], ["ets"], ["theta"]]
    median_weights = select_weights(medians, held.absolute_error, kinds)
    mean_weights = select_weights(means, held.squared_error, kinds)
    needed = {
        variant: count for variant, count in rounds.items() if variant.name in {*median_weights, *mean_weights} or variant in (spread or ())
    }
    median = mix(forecasts, median_weights)
    units = _units(features, spread, forecasts, rows)
    path = rows.series * panel.length + rows.origin
    conformal = calibrate(held.actual, median, units, rows.step, path, units["level"], SCORED_LEVELS)
    choices = {
        "held_back": {"windows": windows, "steps_each": width, "series": len(series), "values": len(rows.series)},
        "scaled_absolute_error": {name: _round(held.absolute_error(made)) for name, made in {**medians, "mixture": median}.items()},
        "median_weights": {name: _round(weight) for name, weight in median_weights.items()},
        "mean_weights": {name: _round(weight) for name, weight in mean_weights.items()},
        "trees": {variant.name: count for variant, count in needed.items()},
        "interval_unit": conformal.unit,
        "interval_factors": {
            f"q{level:g}": _round(float(np.median(conformal.factors[..., index]))) for index, level in enumerate(SCORED_LEVELS)
        },
    }
    return _Plan(needed, median_weights, mean_weights, spread, conformal, choices)


class _Held:
    """The rows held back, with what is needed to score a forecast of them.

    Scales are measured on all steps, since they only weigh the series: the steps before may be no more than a season, which has no scale.
    """

    def __init__(self, rows: Rows, matrix: NDArray[np.float32], panel: Panel) -> None:
        self.rows, self.matrix = rows, matrix
        self.actual: Floats = panel.values[rows.series, rows.origin + rows.step - 1]
        self._absolute = seasonal_scale(panel.values, panel.season)[rows.series]
        self._squared = squared_scale(panel.values)[rows.series]

    def absolute_error(self, median: Floats) -> float:
        """The mean scaled absolute error; 0 without any row that can be scored."""
        return _mean_up_to(MAX_ERROR, np.abs(self.actual - median) / self._absolute)

    def squared_error(self, mean: Floats) -> float:
        """The mean scaled squared error; 0 without any row that can be scored."""
        return _mean_up_to(MAX_ERROR**2, (self.actual - mean) ** 2 / self._squared)


def _choose_boosters(
    features: Features, training: Rows, held: _Held, hyperparameters: Hyperparameters
) -> tuple[dict[str, Floats], dict[Variant, int], str]:
    """Trains boosters on the steps before those held back: their forecasts, their best numbers of trees, and the best scale."""
    matrix = features.rows(*training)
    medians = [Variant("median", scale) for scale in SCALES]
    fitted = train_variants(features, training, matrix, dict.fromkeys(medians, ROUNDS[-1]), hyperparameters)
    scales = {scale: scale_of(features, scale, held.rows) for scale in SCALES}

    def best_rounds(model: Learned, loss: Callable[[Floats], float]) -> int:
        errors = {rounds: loss(model.forecast(held.matrix, scales[model.variant.scale], rounds)) for rounds in ROUNDS}
        return min(ROUNDS, key=errors.__getitem__)

    rounds = {variant: best_rounds(model, held.absolute_error) for variant, model in fitted.items()}

    def error(variant: Variant) -> float:
        return held.absolute_error(fitted[variant].forecast(held.matrix, scales[variant.scale], rounds[variant]))

    scale = min(medians, key=error).scale
    log, mean, lower, upper = (Variant(loss, scale) for loss in ("log", "mean", "lower", "upper"))
    more = {log: ROUNDS[-1], mean: ROUNDS[-1], lower: SPREAD_ROUNDS, upper: SPREAD_ROUNDS}
    fitted |= train_variants(features, training, matrix, more, hyperparameters)
    rounds |= {
        log: best_rounds(fitted[log], held.absolute_error),
        mean: best_rounds(fitted[mean], held.squared_error),
        lower: SPREAD_ROUNDS,
        upper: SPREAD_ROUNDS,
    }
    made = {variant.name: model.forecast(held.matrix, scales[variant.scale], rounds[variant]) for variant, model in fitted.items()}
    return made, rounds, scale


def _train(features: Features, end: int, rounds: Mapping[Variant, int], hyperparameters: Hyperparameters) -> dict[Variant, Learned]:
    """The chosen boosters, fitted to the first `end` steps."""
    if not rounds:
        return {}
    rows = _training_rows(features, end, features.panel.horizon, hyperparameters)
    return train_variants(features, rows, features.rows(*rows), rounds, hyperparameters)


def _training_rows(features: Features, end: int, horizon: int, hyperparameters: Hyperparameters) -> Rows:
    """Rows to train on; none if none of their targets sold."""
    rows = sample_rows(features, Sampling(horizon, near=horizon, weights=np.ones(len(features.panel.names))), 0, end, hyperparameters)
    sold = (features.panel.values[rows.series, rows.origin + rows.step - 1] > 0).any()
    return rows if sold else Rows(*(index[:0] for index in rows))


def _learned_forecasts(
    features: Features, learned: Mapping[Variant, Learned], rows: Rows, matrix: NDArray[np.float32], rounds: Mapping[Variant, int]
) -> dict[str, Floats]:
    return {
        variant.name: model.forecast(matrix, scale_of(features, variant.scale, rows), rounds[variant]) for variant, model in learned.items()
    }


def _units(features: Features, spread: tuple[Variant, Variant] | None, forecasts: Mapping[str, Floats], rows: Rows) -> Units:
    """What the errors of rows may be measured in: the level, the usual change in a season, and what boosters learned, if there are any."""
    level, change = features.level(rows.series, rows.origin), features.usual_change(rows.series, rows.origin)
    if spread is None:
        return {"level": level, "change": change}
    lower, upper = (forecasts[variant.name] for variant in spread)
    width = np.maximum(upper - lower, MIN_SPREAD_SHARE * level)
    return {"level": level, "change": change, "width": width, "width and change": np.sqrt(width * change)}


def _held_steps(panel: Panel) -> int:
    """The steps of each window held back."""
    return max(min(panel.horizon, panel.length // HELD_SHARE), 1)


def _held_series(features: Features, cut: int, seed: int) -> Integers:
    """The series that are forecast in the windows held back: those with some history before them, or a sample of these."""
    started = np.flatnonzero(features.first < cut)
    if len(started) <= HELD_SERIES:
        return started
    return np.sort(np.random.default_rng(seed).choice(started, HELD_SERIES, replace=False))


def _window_rows(series: Integers, origin: int, steps: int) -> Rows:
    repeated = np.repeat(series, steps)
    return Rows(repeated, np.full_like(repeated, origin), np.tile(np.arange(1, steps + 1), len(series)))


def _silent(panel: Panel) -> np.ndarray:
    """Whether each series is all zero, and long enough to say so, shape (n,); all are if none ever sold."""
    sold = np.nansum(np.abs(panel.values), axis=1) > 0
    silent: np.ndarray = ~sold & (((~np.isnan(panel.values)).sum(axis=1) >= SILENT_STEPS) | (not sold.any()))
    return silent


def _mean_up_to(most: float, errors: Floats) -> float:
    """The mean of the known errors, each of which counts as no more than `most`; 0 without any."""
    return float(np.nanmean(np.append(np.minimum(errors, most), 0.0)))


def _no_errors() -> Conformal:
    """Quantiles that equal the median, for a panel of which nothing is known."""
    return Conformal("level", np.zeros(0), np.zeros((1, len(SCORED_LEVELS))))


def _round(value: float) -> float:
    return round(value, 4)
