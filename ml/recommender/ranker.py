"""Fitting of the blend, which chooses candidates, and of the ranker, which orders them."""

from collections.abc import Iterator, Sequence

import lightgbm as lgb
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from ml.recommender.arrays import Flags, Floats
from ml.recommender.candidates import select_candidates
from ml.recommender.features import FEATURES, ranker_features
from ml.recommender.generators import GENERATORS
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.windows import TrainingWindow

# The number of products that were not bought per customer of the blend, and their weight; those that were bought weigh 1.
BLEND_NEGATIVES, BLEND_NEGATIVE_WEIGHT = 500, 10.0
# LightGBM's better objective on the validation window, with and without products that were purchased before.
REPEATS_OBJECTIVE, NEW_OBJECTIVE = "lambdarank", "rank_xendcg"


def fit_blend(windows: Sequence[TrainingWindow], hyperparameters: RecommenderHyperparameters, *, include_purchased: bool) -> Floats:
    """The weight of each generator's score, not negative: a logistic regression on whether products were bought. Shape (GENERATORS,).

    Without windows, all weights are 1.
    """
    if not windows:
        return np.ones(len(GENERATORS), np.float32)
    random = np.random.default_rng(hyperparameters.seed)
    rows, labels, weights = [], [], []
    for window in windows:
        for index in random.permutation(list(window.bought))[: hyperparameters.blend_customers]:
            query = window.query(index, include_purchased=include_purchased)
            negatives = np.setdiff1d(np.flatnonzero(query.allowed), query.bought)
            negatives = random.choice(negatives, min(BLEND_NEGATIVES, len(negatives)), replace=False)
            for products, label, weight in ((query.bought, 1.0, 1.0), (negatives, 0.0, BLEND_NEGATIVE_WEIGHT)):
                rows.append(query.scores[:, products].T.astype(float))
                labels.append(np.full(len(products), label))
                weights.append(np.full(len(products), weight / max(len(products), 1)))
    return _nonnegative_logistic_regression(np.vstack(rows), np.concatenate(labels), np.concatenate(weights))


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


def _nonnegative_logistic_regression(scores: np.ndarray, bought: np.ndarray, weight: np.ndarray) -> Floats:
    """The coefficients of a logistic regression with an intercept; none is negative. Shape (columns,).

    scores: shape (rows, columns)
    bought, weight: shape (rows,)
    """
    weight = weight / weight.sum()

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        margin = scores @ point[1:] + point[0]
        error = weight * (expit(margin) - bought)
        return float(weight @ (np.logaddexp(0, margin) - bought * margin)), np.append(error.sum(), error @ scores)

    columns = scores.shape[1]
    fit = minimize(loss, np.zeros(columns + 1), jac=True, method="L-BFGS-B", bounds=[(None, None)] + [(0, None)] * columns)
    coefficients: Floats = fit.x[1:].astype(np.float32)
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
