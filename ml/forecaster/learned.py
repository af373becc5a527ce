"""Boosters whose loss and scale are candidates: which of them a panel is forecast by is found on steps held back."""

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Floats, positive_or_nan
from ml.forecaster.direct import BINNING, MAX_RATIO, SUBSAMPLING, target_scale
from ml.forecaster.features import Features
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.sampling import Rows

# Added to a ratio before its logarithm is taken, so that a step without a sale has one.
LOG_SHIFT = 0.05
# What targets may be relative to: the level, exponential smoothing, or last year's value times the growth since then.
LEVEL_SCALE, SMOOTHED_SCALE, YEAR_SCALE = "level", "smoothed", "year"
# The year-on-year value is a scale within these shares of the level.
MIN_YEAR_SHARE, MAX_YEAR_SHARE = 0.1, 5.0
OBJECTIVES: Mapping[str, Mapping[str, object]] = {
    "median": {"objective": "quantile", "alpha": 0.5},
    "log": {"objective": "regression"},
    "mean": {"objective": "tweedie", "tweedie_variance_power": 1.3},
    "lower": {"objective": "quantile", "alpha": 0.1},
    "upper": {"objective": "quantile", "alpha": 0.9},
}


@dataclass(frozen=True)
class Variant:
    """A loss, of OBJECTIVES, and what its targets are relative to."""

    loss: str
    scale: str

    @property
    def name(self) -> str:
        """As in reports: `log of level`."""
        return f"{self.loss} of {self.scale}"


@dataclass(frozen=True)
class Learned:
    """A fitted booster."""

    variant: Variant
    booster: lgb.Booster

    def forecast(self, matrix: NDArray[np.float32], scale: Floats, rounds: int) -> Floats:
        """The forecasts of rows by the first `rounds` trees, shape (rows,). matrix: of the rows' features"""
        raw = (
            np.asarray(self.booster.predict(matrix, num_iteration=rounds, num_threads=1), dtype=np.float64) if len(matrix) else np.zeros(0)
        )
        ratio = np.exp(raw) - LOG_SHIFT if self.variant.loss == "log" else raw
        return np.maximum(ratio, 0.0) * scale


def scale_of(features: Features, name: str, rows: Rows) -> Floats:
    """The scale of these rows, shape (rows,); always positive."""
    if name != YEAR_SCALE:
        return target_scale(features, name, rows)
    level = features.level(rows.series, rows.origin)
    value, change = features.last_cycle(*rows)
    grown = positive_or_nan(value * change)
    return np.clip(np.where(np.isnan(grown), level, grown), MIN_YEAR_SHARE * level, MAX_YEAR_SHARE * level)


def train_variants(
    features: Features, rows: Rows, matrix: NDArray[np.float32], rounds: Mapping[Variant, int], hyperparameters: Hyperparameters
) -> dict[Variant, Learned]:
    """Trains a booster for each variant, of so many trees. matrix: of the rows' features; not empty"""
    target = np.maximum(features.panel.values[rows.series, rows.origin + rows.step - 1], 0.0)
    return {
        variant: Learned(variant, _train(features, matrix, target, rows, variant, hyperparameters, count))
        for variant, count in rounds.items()
    }


def _train(
    features: Features,
    matrix: NDArray[np.float32],
    target: Floats,
    rows: Rows,
    variant: Variant,
    hyperparameters: Hyperparameters,
    rounds: int,
) -> lgb.Booster:
    ratio = np.minimum(target / scale_of(features, variant.scale, rows), MAX_RATIO)
    label = np.log(ratio + LOG_SHIFT) if variant.loss == "log" else ratio
    settings: dict[str, object] = {
        "learning_rate": hyperparameters.rate,
        "num_leaves": hyperparameters.leaves,
        "min_data_in_leaf": int(np.clip(len(target) // 600, 5, 100)),
        "num_threads": hyperparameters.threads,
        "seed": hyperparameters.seed,
    }
    data = lgb.Dataset(
        matrix, label, feature_name=list(features.names), categorical_feature=list(features.panel.static), params=dict(BINNING)
    )
    return lgb.train({**BINNING, **SUBSAMPLING, **settings, **OBJECTIVES[variant.loss]}, data, rounds)
