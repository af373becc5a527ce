"""Direct forecasts: one gradient-boosted model of all series and steps for the mean, and one for each of a few quantiles.

Nothing is fed back into the model, so that errors do not drift with the horizon. The last steps are held back once, to choose what the
forecasts are measured by, how far they lean on the smoothed series, and how wide the bands are; then all is fitted to the whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from ml.forecaster.features import Features, Places
from ml.forecaster.metrics import seasonal_scale, squared_scale
from ml.forecaster.panel import Numbers
from ml.forecaster.quantiles import KNOTS, MEDIAN

# A sale so many times the level is a chance that says nothing of the mean of other days.
LARGEST_RATIO = 10.0
# By how much the outer decile of a series that often sells nothing comes nearer to its median: what did best before the test windows.
NEARER = 0.75
# The smoothed forecast may be zero where the level is not; what is measured by it needs some size.
LEAST_SHARE = 0.1
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
# A series is learned from once so many of its steps have passed.
LEAST_HISTORY = 8
HELD_BACK_ROWS = 20_000
# From how many origins at most one target is learned.
DIFFERENT_STEPS = 10
KNOT_NAMES = tuple(f"q{round(1000 * knot):03}" for knot in KNOTS)
MEDIAN_NAME = KNOT_NAMES[MEDIAN]
LOWER, UPPER = KNOTS.index(0.1), KNOTS.index(0.9)
# How LightGBM is asked for each model.
AIMS: Mapping[str, Mapping[str, object]] = {
    "mean": {"objective": "tweedie", "tweedie_variance_power": 1.3},
    **{name: {"objective": "quantile", "alpha": knot} for name, knot in zip(KNOT_NAMES, KNOTS, strict=True)},
}
# Fewer bins and features than LightGBM's own choice: daily sales are too noisy for finer ones.
BINNED: Mapping[str, object] = {"max_bin": 63, "verbose": -1}
SAMPLED: Mapping[str, object] = {
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
}

# Series, origins and steps, each of shape (rows,).
Rows = tuple[Places, Places, Places]


@dataclass(frozen=True)
class Recipe:
    """How the models are fitted.

    rows: how many (series, origin, step) triples they learn from
    span: from how many of the last steps these are drawn
    rounds, rate, leaves: how many trees, how far each goes, and how large it is
    """

    rows: int
    span: int
    rounds: int
    rate: float
    leaves: int
    seed: int
    threads: int = 1


@dataclass(frozen=True)
class Draw:
    """Which rows are learned from.

    horizon: how many steps ahead
    near: half of the rows are of so many steps
    chances: how often each series is drawn, shape (n,), in any unit
    """

    horizon: int
    near: int
    chances: Numbers


@dataclass(frozen=True)
class Settled:
    """What the steps held back have settled.

    base: what targets are measured by: `level`, or `smoothed` for the smoothed forecast
    mean_lean, median_lean: the weight of the smoothed forecast in the mean and in the median, 0 to 1
    widths: by how much the distance of each knot from the median is multiplied
    """

    base: str
    mean_lean: float
    median_lean: float
    widths: tuple[float, ...]


@dataclass(frozen=True)
class Forecast:
    """What is expected: `mean` of shape (rows,), and the `knots` of its distribution, shape (rows, len(KNOTS)), in order."""

    mean: Numbers
    knots: Numbers


@dataclass(frozen=True)
class Direct:
    """Fitted models by the names of AIMS, and what was settled."""

    boosters: Mapping[str, lgb.Booster]
    settled: Settled

    def forecast(self, features: Features, rows: Rows) -> Forecast:
        """The forecasts of these rows; zero where a series rests."""
        matrix = features.rows(*rows)
        base = measure(features, self.settled.base, rows)
        smoothed = features.smoothed(*rows)
        mean = lean(predict(self.boosters["mean"], matrix) * base, smoothed, self.settled.mean_lean)
        distances, median = apart(np.stack([predict(self.boosters[name], matrix) for name in KNOT_NAMES], axis=1) * base[:, None])
        median = lean(median, smoothed, self.settled.median_lean)
        knots = np.maximum(np.sort(distances * np.array(self.settled.widths), axis=1) + median[:, None], 0.0)
        series, origin, step = rows
        rests = features.rests[series, origin + step - 1]
        return Forecast(np.where(rests, 0.0, mean), np.where(rests[:, None], 0.0, knots))


@dataclass(frozen=True)
class Fit:
    """The models of all that was seen, and those `before` the steps held back, which can be tried on these."""

    final: Direct
    before: Direct


def fit(features: Features, draw: Draw, recipe: Recipe, hold_back: int, told: Callable[[str], None] = lambda _: None) -> Fit:
    """Models of the panel.

    hold_back: how many of the last steps are held back to settle what is to be settled
    told: is told what comes next
    """
    told("trying the last steps")
    before = settle(features, draw, features.panel.seen - hold_back, recipe)
    told("learning from all steps")
    rows = sample(features, draw, 0, features.panel.seen, recipe)
    # What was settled on the steps held back says nothing of how well it does there.
    tried = replace(before.settled, widths=(1.0,) * len(KNOTS))
    return Fit(Direct(train(features, rows, before.settled.base, recipe, tuple(AIMS)), before.settled), Direct(before.boosters, tried))


def settle(features: Features, draw: Draw, cut: int, recipe: Recipe) -> Direct:
    """Models of the first `cut` steps, and what they settle on the later ones."""
    half = replace(recipe, rows=recipe.rows // 2)
    past = sample(features, draw, 0, cut, half)
    later = sample(features, draw, cut, features.panel.seen, replace(recipe, rows=HELD_BACK_ROWS))
    series, origin, step = later
    history = features.panel.values[:, :cut]
    scale, square = seasonal_scale(history, features.panel.season)[series], squared_scale(history)[series]
    actual = features.panel.values[series, origin + step - 1]
    smoothed, matrix = features.smoothed(*later), features.rows(*later)

    def absolute(median: Numbers) -> float:
        return float(np.nanmean(np.append(np.abs(actual - median) / scale, 0.0)))

    def squared(mean: Numbers) -> float:
        return float(np.nanmean(np.append((actual - mean) ** 2 / square, 0.0)))

    tried = {base: train(features, past, base, half, (MEDIAN_NAME,)) for base in ("level", "smoothed")}
    medians = {base: np.maximum(predict(tried[base][MEDIAN_NAME], matrix), 0.0) * measure(features, base, later) for base in tried}
    base = min(medians, key=lambda name: absolute(medians[name]))
    boosters = tried[base] | train(features, past, base, half, tuple(name for name in AIMS if name != MEDIAN_NAME))
    unit = measure(features, base, later)
    mean = predict(boosters["mean"], matrix) * unit
    # Half of the way from an equal blend: what does well over a few weeks may do so by chance.
    mean_lean = (0.5 + min(WEIGHTS, key=lambda weight: squared(lean(mean, smoothed, weight)))) / 2
    median_lean = min(WEIGHTS, key=lambda weight: absolute(lean(medians[base], smoothed, weight)))
    distances, median = apart(np.stack([predict(boosters[name], matrix) for name in KNOT_NAMES], axis=1) * unit[:, None])
    widths = stretches(actual - lean(median, smoothed, median_lean), distances)
    return Direct(boosters, Settled(base, mean_lean, median_lean, widths))


def stretches(error: Numbers, distances: Numbers) -> tuple[float, ...]:
    """By how much each pair of knots is to be drawn from the median, to hold its share of the errors: half of the way, within bounds.

    error: of the median, shape (rows,). distances: of the knots from the median, shape (rows, knots).
    """
    factors = np.ones(len(KNOTS))
    for lower, upper in zip(range(MEDIAN), reversed(range(MEDIAN + 1, len(KNOTS))), strict=True):
        side = np.where(error < 0, -distances[:, lower], distances[:, upper])
        # Where a series hardly ever sells, knots lie on zero, and no stretching moves them.
        apart = side > 0
        if apart.any():
            needed = float(np.quantile(np.abs(error[apart]) / side[apart], KNOTS[upper] - KNOTS[lower]))
            factors[[lower, upper]] = np.sqrt(np.clip(needed, 0.5, 2.0))
    return tuple(float(factor) for factor in factors)


def sample(features: Features, draw: Draw, start: int, end: int, recipe: Recipe) -> Rows:
    """Random rows whose origin and target lie in the steps `start` to `end` (exclusive), the target known and no rest."""
    rng = np.random.default_rng((recipe.seed, start))
    # A small panel has no more to tell than so many rows.
    wanted = min(recipe.rows, int(features.known[draw.chances > 0, start:end].sum()) * min(draw.horizon, DIFFERENT_STEPS))
    count = 3 * wanted
    share = np.where(features.first + LEAST_HISTORY < end, draw.chances, 0.0)
    if not share.any():
        return (np.zeros(0, dtype=np.int64),) * 3
    series = rng.choice(len(share), count, p=share / share.sum())
    reach = np.where(rng.random(count) < 0.5, draw.near, draw.horizon)
    step = 1 + (rng.random(count) * reach).astype(np.int64)
    earliest = np.maximum(features.first[series] + LEAST_HISTORY, max(start, end - recipe.span, 1))
    room = end - step - earliest + 1
    origin = earliest + (rng.random(count) * np.maximum(room, 1)).astype(np.int64)
    fits = (room > 0) & (origin + step <= end)
    series, origin, step = series[fits], origin[fits], step[fits]
    usable = np.flatnonzero(features.known[series, origin + step - 1])[:wanted]
    return series[usable], origin[usable], step[usable]


def train(features: Features, rows: Rows, base: str, recipe: Recipe, names: tuple[str, ...]) -> dict[str, lgb.Booster]:
    """Boosters of the ratio of the target to its base, by the names of AIMS."""
    series, origin, step = rows
    target = np.maximum(features.panel.values[series, origin + step - 1], 0.0)
    ratio = np.minimum(target / measure(features, base, rows), LARGEST_RATIO)
    kinds = list(features.panel.static)
    data = lgb.Dataset(
        features.rows(*rows), ratio, feature_name=list(features.names), categorical_feature=kinds, params=dict(BINNED), free_raw_data=False
    )
    settings: dict[str, object] = {
        "learning_rate": recipe.rate,
        "num_leaves": recipe.leaves,
        "min_data_in_leaf": int(np.clip(len(series) // 600, 5, 100)),
        "num_threads": recipe.threads,
        "seed": recipe.seed,
    }
    return {name: lgb.train({**BINNED, **SAMPLED, **settings, **AIMS[name]}, data, recipe.rounds) for name in names}


def measure(features: Features, base: str, rows: Rows) -> Numbers:
    """What the targets of these rows are measured by, shape (rows,); always positive."""
    series, origin, _ = rows
    level = features.level(series, origin)
    return level if base == "level" else np.maximum(features.smoothed(*rows), LEAST_SHARE * level)


def apart(knots: Numbers) -> tuple[Numbers, Numbers]:
    """Put in order and not below zero: the distances of the knots from the median, and the median."""
    ordered = np.sort(np.maximum(knots, 0.0), axis=1)
    median = ordered[:, MEDIAN]
    distances = ordered - median[:, None]
    # A band whose lower end is zero holds all days without a sale, and so more than its share: its upper end comes nearer.
    distances[:, UPPER] *= np.where(ordered[:, LOWER] == 0, NEARER, 1.0)
    return distances, median


def lean(forecast: Numbers, smoothed: Numbers, weight: float) -> Numbers:
    """The forecast, drawn towards the smoothed one."""
    return (1 - weight) * forecast + weight * smoothed


def predict(booster: lgb.Booster, matrix: NDArray[np.float32]) -> Numbers:
    """The booster's answers, shape (rows,)."""
    return np.asarray(booster.predict(matrix, num_threads=1), dtype=np.float64)
