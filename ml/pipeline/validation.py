"""Scores of hyperparameters in the validation windows, from data that ends before the test windows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from ml.forecaster.accuracy import WINDOW
from ml.forecaster.shop import read_shop
from ml.forecaster.shop_scores import product_forecasts, product_panel, scored_products, window_origins, window_scores
from ml.forecaster.train import fit_before as fit_forecaster
from ml.recommender.evaluate import window_metrics
from ml.recommender.history import rows_before
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.train import fit_before as fit_recommender
from ml.recommender.train import read_data


def recommender_scores(folder: Path, hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a recommender in the validation window of a folder of clean data."""
    data = read_data(folder)
    known, start = replace(data, interactions=rows_before(data.interactions, data.test_date)), data.validation_date
    recommender = fit_recommender(known, start, RecommenderHyperparameters.model_validate(hyperparameters))
    return window_metrics(recommender, known)


def forecaster_scores(folder: Path, hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a forecaster, averaged over the validation windows of a folder of clean data."""
    shop = read_shop(folder)
    windows = window_origins(shop)
    known, origins = shop.before(windows["test"][0]), windows["validation"]
    products = scored_products(known, origins[0])
    scores = []
    for origin in origins:
        forecaster = fit_forecaster(known, origin, hyperparameters, {}, WINDOW)
        panel = product_panel(known, products, origin)
        scores.append(window_scores(known, products, panel, product_forecasts(forecaster, panel.names)))
    return {name: fmean(window[name] for window in scores) for name in scores[0]}
