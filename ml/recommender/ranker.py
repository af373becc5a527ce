"""Fitting of the blend, which chooses candidates, and of the ranker, which orders them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import lightgbm as lgb
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from ml.recommender.arrays import Flags, Floats, Ids, Ints
from ml.recommender.candidates import select_candidates
from ml.recommender.exposures import BOUGHT
from ml.recommender.features import FEATURES, ranker_features
from ml.recommender.generators import GENERATORS
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.windows import TrainingWindow

# The number of products that were not bought per customer of the blend, and their weight; those that were bought weigh 1.
BLEND_NEGATIVES, BLEND_NEGATIVE_WEIGHT = 500, 10.0
# LightGBM's better objective on the validation window, with and without products that were purchased before.
REPEATS_OBJECTIVE, NEW_OBJECTIVE = "lambdarank", "rank_xendcg"
# What stands for the position of a product that was not chosen from a list.
_NO_POSITION = ""


class _Examples(NamedTuple):
    """Products of a query, of shape (products,); the scores have a column for each generator."""

    scores: np.ndarray
    labels: np.ndarray
    """From 0 to 1, for one that was bought."""
    weights: np.ndarray
    positions: Ids
    """Where they were shown, or `_NO_POSITION`."""


def fit_blend(windows: Sequence[TrainingWindow], hyperparameters: RecommenderHyperparameters, *, include_purchased: bool) -> Floats:
    """The weight of each generator's score, not negative: a logistic regression on whether products were bought. Shape (GENERATORS,).

    It learns from customers' purchases in the windows and, if they have any, from lists that were shown. Without either, all weights are 1.
    """
    random = np.random.default_rng(hyperparameters.seed)
    examples = list(_purchase_examples(windows, hyperparameters, random, include_purchased))
    examples += _exposure_examples(windows, random, include_purchased)
    if not examples:
        return np.ones(len(GENERATORS), np.float32)
    return _nonnegative_logistic_regression(_Examples(*map(np.concatenate, zip(*examples, strict=True))))


def fit_ranker(
    windows: Sequence[TrainingWindow], blend: Floats, hyperparameters: RecommenderHyperparameters, *, include_purchased: bool
) -> lgb.Booster | None:
    """A LightGBM ranker, fitted on one query per customer and window; None if no candidate was bought.

    blend: the generators' weights, by which the candidates are chosen
    """
    random = np.random.default_rng(hyperparameters.seed)
    rows, labels, sizes = [], [], []
    for candidate_features, was_bought in _candidate_rows(windows, blend, include_purchased):
        negatives = np.flatnonzero(~was_bought)
        negatives = random.choice(negatives, min(hyperparameters.negatives, len(negatives)), replace=False)
        sample = np.sort(np.concatenate((np.flatnonzero(was_bought), negatives)))
        rows.append(candidate_features[sample])
        labels.append(was_bought[sample])
        sizes.append(len(sample))
    if not rows:
        return None
    data = lgb.Dataset(np.vstack(rows), np.concatenate(labels).astype(np.float32), group=sizes, feature_name=list(FEATURES))
    objective = REPEATS_OBJECTIVE if include_purchased else NEW_OBJECTIVE
    return lgb.train(_lightgbm_parameters(hyperparameters, objective), data, hyperparameters.trees)


def _purchase_examples(
    windows: Sequence[TrainingWindow], hyperparameters: RecommenderHyperparameters, random: np.random.Generator, include_purchased: bool
) -> Iterator[_Examples]:
    """What customers bought in a window, and some of the products that they did not."""
    for window in windows:
        for index in random.permutation(list(window.bought))[: hyperparameters.blend_customers]:
            query = window.query(index, include_purchased=include_purchased)
            others = np.setdiff1d(np.flatnonzero(query.allowed), query.bought)
            yield _examples(query.scores, query.bought, np.ones(len(query.bought)))
            yield _negatives(query.scores, others, random)


def _exposure_examples(windows: Sequence[TrainingWindow], random: np.random.Generator, include_purchased: bool) -> Iterator[_Examples]:
    """What was chosen from each list, beside what else was shown, and beside all products.

    From the first alone, the blend would not learn what tells a product that may be shown from the many that are not worth it.
    """
    for window in windows:
        for shown in window.exposed:
            allowed = window.allow(shown.customer, include_purchased)
            kept = allowed[shown.products]
            products, labels = shown.products[kept], shown.grades[kept] / BOUGHT
            if labels.any():
                scores, chosen = window.generators.scores(shown.customer), labels > 0
                weights = shown.weights[kept].astype(float)
                weights *= (1 + BLEND_NEGATIVE_WEIGHT) / weights.sum()
                yield _Examples(scores[:, products].T.astype(float), labels, weights, shown.positions[kept])
                yield _examples(scores, products[chosen], labels[chosen])
                yield _negatives(scores, np.setdiff1d(np.flatnonzero(allowed), products), random)


def _examples(scores: Floats, products: Ints, labels: np.ndarray) -> _Examples:
    """Products that were chosen from all, which together weigh 1."""
    count = len(products)
    return _Examples(scores[:, products].T.astype(float), labels, np.full(count, 1 / max(count, 1)), np.full(count, _NO_POSITION))


def _negatives(scores: Floats, products: Ints, random: np.random.Generator) -> _Examples:
    """Some of the products that were not chosen from all."""
    drawn = random.choice(products, min(BLEND_NEGATIVES, len(products)), replace=False)
    examples = _examples(scores, drawn, np.zeros(len(drawn)))
    return examples._replace(weights=np.full(len(drawn), BLEND_NEGATIVE_WEIGHT / max(len(drawn), 1)))


def _nonnegative_logistic_regression(examples: _Examples) -> Floats:
    """The coefficients of a logistic regression with an intercept for each position; none is negative. Shape (columns,)."""
    scores, bought, weight = examples.scores, examples.labels, examples.weights / examples.weights.sum()
    positions, position = np.unique(examples.positions, return_inverse=True)
    count, columns = len(positions), scores.shape[1]

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        margin = scores @ point[count:] + point[position]
        error = weight * (expit(margin) - bought)
        intercepts = [error.sum()] if count == 1 else np.bincount(position, error, count)
        return float(weight @ (np.logaddexp(0, margin) - bought * margin)), np.append(intercepts, error @ scores)

    bounds = [(None, None)] * count + [(0, None)] * columns
    fit = minimize(loss, np.zeros(count + columns), jac=True, method="L-BFGS-B", bounds=bounds)
    coefficients: Floats = fit.x[count:].astype(np.float32)
    return coefficients


def _candidate_rows(windows: Sequence[TrainingWindow], blend: Floats, include_purchased: bool) -> Iterator[tuple[Floats, Flags]]:
    """The features of each query's candidates, and whether each was bought, for the queries with one that was.

    Shapes (candidates, FEATURES), (candidates,).
    """
    for window in windows:
        for index in window.bought:
            query = window.query(index, include_purchased=include_purchased)
            blended = blend @ query.scores
            candidates = select_candidates(blended, query.allowed)
            was_bought = np.isin(candidates, query.bought)
            if was_bought.any():
                generators, products = window.generators, window.product_features
                yield ranker_features(generators, products, query.customer, candidates, query.scores, blended), was_bought


def _lightgbm_parameters(hyperparameters: RecommenderHyperparameters, objective: str) -> dict[str, object]:
    return {
        "objective": objective,
        "lambdarank_truncation_level": 40,
        "num_leaves": hyperparameters.leaves,
        "learning_rate": hyperparameters.learning_rate,
        "min_data_in_leaf": 200,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "seed": hyperparameters.seed,
        # The same data and seed give the same trees, on any number of cores.
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
