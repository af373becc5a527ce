"""Direct forecasts: one gradient-boosted model for the mean and one for each of a few quantiles, of all series and steps ahead.

No forecast is fed back into a model, so errors do not accumulate over the horizon. The last steps are held back once, to choose what
targets are relative to, the weight of exponential smoothing and the width of intervals; then the models are fitted to all steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.features import Features
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.metrics import seasonal_scale, squared_scale
from ml.forecaster.quantiles import LEVELS, MEDIAN
from ml.forecaster.sampling import Rows, Sampling, sample_rows

# Targets are clipped to so many times their scale: a larger order is an accident that says nothing of the mean of other days.
MAX_RATIO = 10.0
# The factors of the quantiles' distances from the median are kept within these bounds, and fitted to no fewer errors.
MIN_WIDTH, MAX_WIDTH, MIN_ERRORS = 0.4, 2.5, 200
# The smoothed forecast may be zero where the level is not; as a scale it is at least this share of the level.
MIN_SCALE_SHARE = 0.1
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
HELD_BACK_ROWS = 20_000
SCALES = ("level", "smoothed")
QUANTILE_NAMES = tuple(f"q{round(1000 * level):03}" for level in LEVELS)
MEDIAN_NAME = QUANTILE_NAMES[MEDIAN]
# LightGBM's objective of each model.
OBJECTIVES: Mapping[str, Mapping[str, object]] = {
    "mean": {"objective": "tweedie", "tweedie_variance_power": 1.3},
    **{name: {"objective": "quantile", "alpha": level} for name, level in zip(QUANTILE_NAMES, LEVELS, strict=True)},
}
# Fewer bins and features than LightGBM's defaults: daily sales are too noisy for finer ones.
BINNING: Mapping[str, object] = {"max_bin": 63, "verbose": -1}
SUBSAMPLING: Mapping[str, object] = {
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
}

Boosters = Mapping[str, lgb.Booster]


@dataclass(frozen=True)
class Calibration:
    """The choices made on the steps held back."""

    base: str
    """What targets are relative to: `level` or `smoothed`."""
    mean_lean: float
    """The weight of exponential smoothing in the mean, 0 to 1."""
    median_lean: float
    """The weight of exponential smoothing in the median, 0 to 1."""
    widths: tuple[tuple[float, ...], ...]
    """The factor of each quantile's distance from the median, for near steps ahead and for those further."""
    near: int
    """The last near step."""

    def widths_of(self, step: Integers) -> Floats:
        """The factors for rows so many steps ahead, shape (rows, 7)."""
        return np.array(self.widths)[(step > self.near).astype(np.int64)]


@dataclass(frozen=True)
class Forecast:
    """The forecasts of rows."""

    mean: Floats
    """Shape (rows,)."""
    quantiles: Floats
    """At LEVELS, in order, shape (rows, 7)."""


@dataclass(frozen=True)
class Direct:
    """Fitted models, by the names of OBJECTIVES, with their calibration."""

    boosters: Boosters
    calibration: Calibration

    def forecast(self, features: Features, rows: Rows) -> Forecast:
        """The forecasts of these rows; zero where a series is closed."""
        matrix = features.rows(*rows)
        scale = target_scale(features, self.calibration.base, rows)
        smoothed = features.smoothed_level(*rows)
        mean = _blend(predict(self.boosters["mean"], matrix) * scale, smoothed, self.calibration.mean_lean)
        distances, median = _predict_quantiles(self.boosters, matrix, scale)
        median = _blend(median, smoothed, self.calibration.median_lean)
        quantiles = np.maximum(np.sort(distances * self.calibration.widths_of(rows.step), axis=1) + median[:, None], 0.0)
        closed = features.closed[rows.series, rows.origin + rows.step - 1]
        return Forecast(np.where(closed, 0.0, mean), np.where(closed[:, None], 0.0, quantiles))


@dataclass(frozen=True)
class Fit:
    """The result of `fit`."""

    final: Direct
    """The models of all steps."""
    before: Direct
    """The models of the steps before those held back, for a backtest on these."""


@dataclass(frozen=True)
class _HeldBack:
    """Rows of the steps held back, with what is needed to score a forecast of them."""

    rows: Rows
    features: NDArray[np.float32]
    smoothed: Floats
    actual: Floats
    absolute_scale: Floats
    squared_scale: Floats

    def absolute_error(self, median: Floats) -> float:
        """The mean scaled absolute error; 0 without any row that can be scored."""
        return float(np.nanmean(np.append(np.abs(self.actual - median) / self.absolute_scale, 0.0)))

    def squared_error(self, mean: Floats) -> float:
        """The mean scaled squared error; 0 without any row that can be scored."""
        return float(np.nanmean(np.append((self.actual - mean) ** 2 / self.squared_scale, 0.0)))


def fit(
    features: Features,
    sampling: Sampling,
    hyperparameters: Hyperparameters,
    hold_back: int,
    report: Callable[[str], None] = lambda _: None,
) -> Fit:
    """Fits models to a panel.

    hold_back: the number of last steps to hold back for calibration
    report: is called with a description of each stage of the work
    """
    report("calibrating on the last steps")
    before = _calibrate(features, sampling, features.panel.length - hold_back, hyperparameters)
    report("fitting to all steps")
    rows = sample_rows(features, sampling, 0, features.panel.length, hyperparameters)
    boosters = _train(features, rows, before.calibration.base, hyperparameters, tuple(OBJECTIVES))
    # The widths were fitted to the steps held back, so a backtest on these steps must not use them.
    uncalibrated = replace(before.calibration, widths=((1.0,) * len(LEVELS),) * 2)
    return Fit(Direct(boosters, before.calibration), Direct(before.boosters, uncalibrated))


def target_scale(features: Features, base: str, rows: Rows) -> Floats:
    """What the targets of these rows are relative to, shape (rows,); always positive. base: of SCALES"""
    level = features.level(rows.series, rows.origin)
    return level if base == "level" else np.maximum(features.smoothed_level(*rows), MIN_SCALE_SHARE * level)


def fit_widths(error: Floats, distances: Floats, step: Integers, near: int) -> tuple[tuple[float, ...], ...]:
    """The factors of the quantiles' distances from the median with the least pinball loss, of near steps and of those further.

    Each quantile has its own, so that its share of the errors is below it: quantile regression through the origin, whose solution is a
    quantile of the ratios of errors and distances, weighted by the distances. Where errors are few, all steps share the factors.

    error: of the median, shape (rows,)
    distances: negative below the median, shape (rows, 7)
    step: of each row; near: the last near one
    """
    groups = (step <= near, step > near)
    return tuple(
        tuple(_fit_width(error[rows], distances[rows, column], level) for column, level in enumerate(LEVELS))
        for rows in (group if group.sum() >= MIN_ERRORS else np.ones(len(step), dtype=bool) for group in groups)
    )


def predict(booster: lgb.Booster, matrix: NDArray[np.float32]) -> Floats:
    """A booster's predictions, shape (rows,)."""
    return np.asarray(booster.predict(matrix, num_threads=1), dtype=np.float64) if len(matrix) else np.zeros(0)


def _calibrate(features: Features, sampling: Sampling, cut: int, hyperparameters: Hyperparameters) -> Direct:
    """Fits models to the first `cut` steps, and calibrates them on the later ones."""
    half = replace(hyperparameters, rows=hyperparameters.rows // 2)
    past = sample_rows(features, sampling, 0, cut, half)
    held_back = _hold_back(features, sampling, cut, hyperparameters)
    candidates = {base: _train(features, past, base, half, (MEDIAN_NAME,)) for base in SCALES}
    scales = {base: target_scale(features, base, held_back.rows) for base in SCALES}
    medians = {base: np.maximum(predict(candidates[base][MEDIAN_NAME], held_back.features), 0.0) * scales[base] for base in SCALES}
    base = min(SCALES, key=lambda name: held_back.absolute_error(medians[name]))
    boosters = candidates[base] | _train(features, past, base, half, tuple(name for name in OBJECTIVES if name != MEDIAN_NAME))
    mean = predict(boosters["mean"], held_back.features) * scales[base]
    # Shrunk half-way to an equal blend: what does well over a few weeks may do so by chance.
    best = min(WEIGHTS, key=lambda weight: held_back.squared_error(_blend(mean, held_back.smoothed, weight)))
    mean_lean = (0.5 + best) / 2
    median_lean = min(WEIGHTS, key=lambda weight: held_back.absolute_error(_blend(medians[base], held_back.smoothed, weight)))
    distances, median = _predict_quantiles(boosters, held_back.features, scales[base])
    error = held_back.actual - _blend(median, held_back.smoothed, median_lean)
    # Relative to the level, so that large series count no more than others.
    level = features.level(held_back.rows.series, held_back.rows.origin)
    widths = fit_widths(error / level, distances / level[:, None], held_back.rows.step, sampling.near)
    return Direct(boosters, Calibration(base, mean_lean, median_lean, widths, sampling.near))


def _hold_back(features: Features, sampling: Sampling, cut: int, hyperparameters: Hyperparameters) -> _HeldBack:
    """Rows of the steps from `cut`, their scales measured on the steps before."""
    rows = sample_rows(features, sampling, cut, features.panel.length, replace(hyperparameters, rows=HELD_BACK_ROWS))
    history = features.panel.values[:, :cut]
    return _HeldBack(
        rows,
        features.rows(*rows),
        features.smoothed_level(*rows),
        features.panel.values[rows.series, rows.origin + rows.step - 1],
        seasonal_scale(history, features.panel.season)[rows.series],
        squared_scale(history)[rows.series],
    )


def _fit_width(error: Floats, distance: Floats, level: float) -> float:
    """The factor of one quantile's distances. Quantiles of series that hardly ever sell are the median, and no factor moves them."""
    moved = distance != 0
    if not moved.any():
        return 1.0
    ratio, weight = error[moved] / distance[moved], np.abs(distance[moved])
    order = np.argsort(ratio, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    found = ratio[order][np.searchsorted(share, level if level > LEVELS[MEDIAN] else 1 - level)]
    return float(np.clip(found, MIN_WIDTH, MAX_WIDTH))


def _train(features: Features, rows: Rows, base: str, hyperparameters: Hyperparameters, names: tuple[str, ...]) -> dict[str, lgb.Booster]:
    """Trains boosters of the ratio of the target to its scale, by the names of OBJECTIVES."""
    target = np.maximum(features.panel.values[rows.series, rows.origin + rows.step - 1], 0.0)
    ratio = np.minimum(target / target_scale(features, base, rows), MAX_RATIO)
    matrix, objectives = features.rows(*rows), OBJECTIVES
    if not ratio.any():
        # Nothing was ever sold: LightGBM takes neither no rows nor a Tweedie target of zeros, and learns zero from a few rows.
        matrix, ratio = np.zeros((16, len(features.names)), dtype=np.float32), np.zeros(16)
        objectives = {**OBJECTIVES, "mean": {"objective": "regression"}}
    data = lgb.Dataset(
        matrix,
        ratio,
        feature_name=list(features.names),
        categorical_feature=list(features.panel.static),
        params=dict(BINNING),
        free_raw_data=False,
    )
    settings: dict[str, object] = {
        "learning_rate": hyperparameters.rate,
        "num_leaves": hyperparameters.leaves,
        "min_data_in_leaf": int(np.clip(len(rows.series) // 600, 5, 100)),
        "num_threads": hyperparameters.threads,
        "seed": hyperparameters.seed,
    }
    return {name: lgb.train({**BINNING, **SUBSAMPLING, **settings, **objectives[name]}, data, hyperparameters.rounds) for name in names}


def _predict_quantiles(boosters: Boosters, matrix: NDArray[np.float32], scale: Floats) -> tuple[Floats, Floats]:
    """The distances of the quantiles from the median, shape (rows, 7), and the median, shape (rows,); in order and not negative."""
    quantiles = np.stack([predict(boosters[name], matrix) for name in QUANTILE_NAMES], axis=1) * scale[:, None]
    ordered = np.sort(np.maximum(quantiles, 0.0), axis=1)
    median = ordered[:, MEDIAN]
    return ordered - median[:, None], median


def _blend(forecast: Floats, smoothed: Floats, weight: float) -> Floats:
    return (1 - weight) * forecast + weight * smoothed
