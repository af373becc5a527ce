"""Direct forecasts: one gradient-boosted model of all series and steps for the mean, and one for each of a few quantiles.

Nothing is fed back into the model, so that errors do not drift with the horizon. The last steps are held back once, to choose what the
forecasts are measured by, how far they lean on the smoothed series, and how wide the bands are; then all is fitted to the whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from ml.forecaster.features import Features, Places
from ml.forecaster.metrics import seasonal_scale, squared_scale
from ml.forecaster.panel import Numbers, Panel
from ml.forecaster.quantiles import KNOTS, MEDIAN, widened

# A sale so many times the level is a chance that says nothing of the mean of other days.
LARGEST_RATIO = 10.0
# The smoothed forecast may be zero where the level is not; what is measured by it needs some size.
LEAST_SHARE = 0.1
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
# A series is learned from once this many of its values are known.
LEAST_HISTORY = 8
HELD_BACK_ROWS = 20_000


@dataclass(frozen=True)
class Recipe:
    """How the models are fitted.

    rows: how many (series, origin, step) triples they learn from
    span: from how many of the last steps these are drawn
    """

    rows: int
    span: int
    rounds: int
    rate: float
    leaves: int
    seed: int
    threads: int = 1


@dataclass(frozen=True)
class Settled:
    """What the steps held back have settled.

    base: what targets are measured by: "level", or "smoothed" for the smoothed forecast
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
    """Fitted models: `mean`, and one for each knot, and what was settled."""

    boosters: Mapping[str, lgb.Booster]
    settled: Settled

    def forecast(self, features: Features, series: Places, origin: Places, step: Places) -> Forecast:
        """The forecasts of these rows. Where a series rests they are zero; a series never seen has none (NaN)."""
        matrix = features.rows(series, origin, step)
        base = measure(features, self.settled.base, series, origin, step)
        smoothed = features.smoothed_forecast(series, origin, step)
        mean = lean(np.maximum(predict(self.boosters["mean"], matrix), 0.0) * base, smoothed, self.settled.mean_lean)
        ratios = np.stack([predict(self.boosters[name], matrix) for name in KNOT_NAMES], axis=1)
        knots = np.sort(np.maximum(ratios, 0.0), axis=1) * base[:, None]
        median = knots[:, [MEDIAN]]
        leaned = lean(median[:, 0], smoothed, self.settled.median_lean)[:, None]
        knots = np.maximum(widened(knots - median, np.array(self.settled.widths)) + leaned, 0.0)
        rests = features.rests[series, origin + step - 1]
        return Forecast(np.where(rests, 0.0, mean), np.where(rests[:, None], 0.0, knots))


KNOT_NAMES = tuple(f"q{knot:g}" for knot in KNOTS)


def fit(
    panel: Panel, horizon: int, recipe: Recipe, hold_back: int, chances: Numbers | None = None, progress: Callable[[str], None] = lambda _: None
) -> Direct:
    """Models of the panel for `horizon` steps.

    hold_back: how many of the last steps are held back to settle what is to be settled
    chances: how often a row is of each series, shape (n,); by default all alike
    """
    features = Features(panel)
    cut = panel.seen - hold_back
    progress("settling")
    settled = settle(features, cut, horizon, recipe, chances)
    rows = sample(features, 0, panel.seen, horizon, recipe, chances)
    progress("fitting")
    names = ("mean", *KNOT_NAMES)
    return Direct(train(features, rows, settled.base, recipe, names), settled)


def settle(features: Features, cut: int, horizon: int, recipe: Recipe, chances: Numbers | None) -> Settled:
    """What models fitted to the first `cut` steps settle on the later ones."""
    half = Recipe(recipe.rows // 2, recipe.span, recipe.rounds, recipe.rate, recipe.leaves, recipe.seed, recipe.threads)
    past = sample(features, 0, cut, horizon, half, chances)
    later = sample(features, cut, features.panel.seen, horizon, Recipe(HELD_BACK_ROWS, *list(vars(half).values())[1:]), chances)
    history = features.panel.values[:, :cut]
    scale = seasonal_scale(history, features.panel.season)[later[0]]
    square = squared_scale(history)[later[0]]
    actual = features.panel.values[later[0], later[1] + later[2] - 1]
    smoothed = features.smoothed_forecast(*later)
    matrix = features.rows(*later)

    def absolute(median: Numbers) -> float:
        return float(np.nanmean(np.abs(actual - median) / scale))

    def squared(mean: Numbers) -> float:
        return float(np.nanmean((actual - mean) ** 2 / square))

    medians, losses = {}, {}
    for base in ("level", "smoothed"):
        booster = train(features, past, base, half, ("q0.5",))["q0.5"]
        medians[base] = np.maximum(predict(booster, matrix), 0.0) * measure(features, base, *later)
        losses[base] = absolute(medians[base])
    base = min(losses, key=losses.__getitem__)
    boosters = train(features, past, base, half, ("mean", *(name for name in KNOT_NAMES if name != "q0.5")))
    unit = measure(features, base, *later)
    mean = np.maximum(predict(boosters["mean"], matrix), 0.0) * unit
    # Half of the way from an equal blend: what does well over a few weeks does so by chance too.
    mean_lean = (0.5 + min(WEIGHTS, key=lambda weight: squared(lean(mean, smoothed, weight)))) / 2
    median_lean = min(WEIGHTS, key=lambda weight: absolute(lean(medians[base], smoothed, weight)))
    knots = [medians[base] if name == "q0.5" else predict(boosters[name], matrix) * unit for name in KNOT_NAMES]
    distances = np.sort(np.maximum(np.stack(knots, axis=1), 0.0), axis=1)
    distances -= distances[:, [MEDIAN]]
    error = actual - lean(medians[base], smoothed, median_lean)
    return Settled(base, mean_lean, median_lean, tuple(width_factors(error, distances)))


def width_factors(error: Numbers, distances: Numbers) -> list[float]:
    """By how much each pair of knots must be stretched from the median to hold its share of the errors, within bounds.

    error: shape (rows,). distances: of the knots from the median, shape (rows, knots).
    """
    factors = [1.0] * len(KNOTS)
    for place in range(MEDIAN):
        mirror = len(KNOTS) - 1 - place
        share = KNOTS[mirror] - KNOTS[place]
        side = np.where(error < 0, -distances[:, place], distances[:, mirror])
        stretch = np.abs(error) / np.maximum(side, 1e-9 + 1e-3 * np.abs(distances).max(axis=1))
        # Half of the way: a few weeks held back say little of the weeks to come.
        factors[place] = factors[mirror] = float(np.sqrt(np.clip(np.quantile(stretch, share), 0.5, 2.5)))
    return factors


def sample(
    features: Features, start: int, end: int, horizon: int, recipe: Recipe, chances: Numbers | None
) -> tuple[Places, Places, Places]:
    """Random rows whose origin and target lie in the steps start to end, the target known and no rest: series, origin and step."""
    rng = np.random.default_rng(recipe.seed + start)
    drawn = 3 * recipe.rows
    share = np.where(features.first < end, 1.0 if chances is None else chances, 0.0)
    series = rng.choice(len(share), drawn, p=share / share.sum())
    step = rng.integers(1, horizon + 1, drawn)
    earliest = np.maximum(np.maximum(features.first[series] + LEAST_HISTORY, end - recipe.span), max(start, 1))
    room = end - step - earliest + 1
    origin = earliest + (rng.random(drawn) * np.maximum(room, 1)).astype(np.int64)
    fits = (room > 0) & (origin + step <= end)
    series, origin, step = series[fits], origin[fits], step[fits]
    usable = features.known[series, origin + step - 1]
    return series[usable][: recipe.rows], origin[usable][: recipe.rows], step[usable][: recipe.rows]


def train(features: Features, rows: tuple[Places, Places, Places], base: str, recipe: Recipe, names: tuple[str, ...]) -> dict[str, lgb.Booster]:
    """Boosters of the ratio of the target to its base: for the name `mean` of its mean, for `q0.1` of that quantile."""
    series, origin, step = rows
    target = np.maximum(features.panel.values[series, origin + step - 1], 0.0)
    ratio = np.minimum(target / measure(features, base, *rows), LARGEST_RATIO)
    categories = [name for name in features.panel.static if name in features.names]
    data = lgb.Dataset(
        features.rows(*rows), ratio, feature_name=list(features.names), categorical_feature=categories, free_raw_data=False, params=QUIET
    )
    boosters = {}
    for name in names:
        aim = MEAN if name == "mean" else {"objective": "quantile", "alpha": float(name[1:])}
        settings = {
            "learning_rate": recipe.rate,
            "num_leaves": recipe.leaves,
            "min_data_in_leaf": int(np.clip(len(series) // 600, 10, 100)),
            "num_threads": recipe.threads,
            "seed": recipe.seed,
        }
        boosters[name] = lgb.train(SAMPLED | QUIET | settings | aim, data, recipe.rounds)
    return boosters


# Fewer bins and features than LightGBM's own choice: noise in daily sales drowns finer steps.
QUIET: dict[str, object] = {"verbose": -1, "max_bin": 63, "deterministic": True, "force_row_wise": True}
SAMPLED: dict[str, object] = {"feature_fraction": 0.4, "bagging_fraction": 0.7, "bagging_freq": 1}
MEAN: dict[str, object] = {"objective": "tweedie", "tweedie_variance_power": 1.3}


def measure(features: Features, base: str, series: Places, origin: Places, step: Places) -> Numbers:
    """What the targets of these rows are measured by, shape (rows,)."""
    level = features.level(series, origin)
    return level if base == "level" else np.maximum(features.smoothed_forecast(series, origin, step), LEAST_SHARE * level)


def lean(forecast: Numbers, smoothed: Numbers, weight: float) -> Numbers:
    """The forecast drawn towards the smoothed one."""
    return (1 - weight) * forecast + weight * smoothed


def predict(booster: lgb.Booster, matrix: NDArray[np.float32]) -> Numbers:
    """The booster's answers, shape (rows,)."""
    return np.asarray(booster.predict(matrix, num_threads=1), dtype=np.float64)
