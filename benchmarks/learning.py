"""Benchmark of both models against comparable libraries, scores and training time: `python -m benchmarks.learning FOLDER`."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pyarrow as pa
from implicit.cpu.als import AlternatingLeastSquares
from lightgbm import LGBMRegressor
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.programs import ROOT
from ml.forecaster import baselines, shop_scores
from ml.forecaster import train as forecaster
from ml.forecaster.accuracy import WINDOW
from ml.forecaster.arrays import Floats
from ml.forecaster.metrics import SCORED_LEVELS
from ml.forecaster.panel import Panel
from ml.forecaster.shop import Shop, read_shop
from ml.pipeline import parameters as pipeline
from ml.recommender import evaluate as recommendations
from ml.recommender import metrics
from ml.recommender import train as recommender
from ml.recommender.history import PurchaseHistory, day_number, rows_before
from ml.recommender.hyperparameters import RecommenderHyperparameters

TITLE = "Models beside their peers, on the test windows; CPU seconds of one core to fit, for forecasters also to forecast"
# The value of the authors' examples on purchase data.
FACTORS = 128
WEEKS_MEAN, MONTHS_MEAN = RollingMean(7), RollingMean(28)


class TrainingResult(NamedTuple):
    """The scores of a model, by metric, and the CPU time of its training."""

    cpu_seconds: float
    scores: dict[str, float]


def compare(folder: Path) -> dict[str, TrainingResult]:
    """Trains and scores all models on a folder of clean data, on one core."""
    numbers = pipeline.read(ROOT / "params.yaml")
    results: dict[str, TrainingResult] = {}
    with threadpool_limits(1):
        data = recommender.read_data(folder)
        for recipe in get_args(pipeline.RecipeName):
            results[f"recommender, {recipe}"] = our_recommender(
                data, RecommenderHyperparameters.model_validate(numbers.recommender[recipe])
            )
        results["implicit ALS"] = als(data)
        shop = read_shop(folder)
        for recipe in get_args(pipeline.RecipeName):
            results[f"forecaster, {recipe}"] = our_forecaster(shop, folder, numbers.forecaster[recipe])
        results["AutoETS"] = of_panel(shop, partial(baselines.auto_ets, levels=SCORED_LEVELS))
        results["mlforecast, LightGBM"] = of_panel(shop, lightgbm)
    return results


def our_recommender(data: recommender.TrainingData, numbers: RecommenderHyperparameters) -> TrainingResult:
    with used() as cpu:
        fitted = recommender.fit_before(data, data.test_date, numbers)
    scores = recommendations.window_metrics(fitted, data)
    return TrainingResult(cpu(), {name: scores[f"{name}.ndcg_at_{recommendations.K}"] for name in ("all", "new")})


def als(data: recommender.TrainingData) -> TrainingResult:
    """The ALS of implicit, on the number of purchases of each product by each customer."""
    start = day_number(data.test_date)
    history = PurchaseHistory.from_table(rows_before(data.interactions, data.test_date))
    shape = (len(history.customer_numbers), len(history.product_ids))
    bought = sparse.csr_matrix((np.ones(len(history.day), np.float32), (history.customer, history.product)), shape=shape)
    with used() as cpu:
        model = AlternatingLeastSquares(factors=FACTORS, random_state=1, num_threads=1)
        model.fit(bought, show_progress=False)
    window = PurchaseHistory.from_table(data.interactions).products_bought(start, start + WINDOW)
    rows_of = {number: index for index, number in enumerate(history.customer_numbers.tolist())}
    catalogue = set(history.product_ids.tolist())
    sold = {number: set(products.tolist()) & catalogue for number, products in window.items() if number in rows_of}
    held = {number: set(history.product_ids[bought[rows_of[number]].indices].tolist()) for number in sold}
    truths = {"all": sold, "new": {number: products - held[number] for number, products in sold.items()}}
    scores = {}
    for name, truth in truths.items():
        truth = {number: products for number, products in truth.items() if products}
        rows = np.array([rows_of[number] for number in truth])
        best, _ = model.recommend(rows, bought[rows], N=recommendations.K, filter_already_liked_items=name == "new")
        lists = dict(zip(truth, history.product_ids[best].tolist(), strict=True))
        scores[name] = metrics.scores(lists, truth, len(catalogue), recommendations.K)[f"ndcg_at_{recommendations.K}"]
    return TrainingResult(cpu(), scores)


def our_forecaster(shop: Shop, folder: Path, numbers: Mapping[str, Any]) -> TrainingResult:
    def forecast(panel: Panel) -> shop_scores.Forecasts:
        fitted = forecaster.fit_before(shop, panel.length, numbers, forecaster.artifact_facts(folder, numbers), WINDOW)
        return shop_scores.product_forecasts(fitted, panel.names)

    return of_panel(shop, forecast)


def lightgbm(panel: Panel) -> shop_scores.Forecasts:
    """mlforecast: a LightGBM model for the mean and one for each quantile, fed with lags, rolling means and the calendar, step by step."""
    known = np.isfinite(panel.values)
    series, steps = np.nonzero(known)
    frame = pa.table({"unique_id": series, "ds": panel.times[steps], "y": panel.values[known]}).to_pandas()
    model = partial(LGBMRegressor, verbosity=-1, n_jobs=1, random_state=1)
    models = {f"q{index}": model(objective="quantile", alpha=level) for index, level in enumerate(SCORED_LEVELS)} | {"mean": model()}
    peer = MLForecast(
        models,
        freq="D",
        lags=[1, 7, 14, 28],
        lag_transforms={1: [WEEKS_MEAN, MONTHS_MEAN], 7: [WEEKS_MEAN]},
        date_features=["dayofweek", "day", "month"],
        num_threads=1,
    )
    peer.fit(frame, static_features=[])
    forecast = peer.predict(panel.horizon).sort_values(["unique_id", "ds"])
    shape = (len(panel.names), panel.horizon)
    *quantiles, mean = (np.maximum(forecast[name].to_numpy().reshape(shape), 0.0) for name in models)
    return mean, np.sort(np.stack(quantiles, axis=2), axis=2)


def of_panel(shop: Shop, forecast: Callable[[Panel], tuple[Floats, Floats]]) -> TrainingResult:
    """The scores of forecasts of the test windows, and the mean CPU time of a window."""
    origins = shop_scores.window_origins(shop)["test"]
    chosen = shop_scores.scored_products(shop, origins[0])
    scores, seconds = [], []
    for origin in origins:
        panel = shop_scores.product_panel(shop, chosen, origin)
        with used() as cpu:
            forecasts = forecast(panel)
        seconds.append(cpu())
        scores.append(shop_scores.window_scores(shop, chosen, panel, forecasts))
    return TrainingResult(sum(seconds) / len(seconds), shop_scores.average_scores(scores))


@contextmanager
def used() -> Iterator[Callable[[], float]]:
    """Yields a function that returns the CPU seconds of the `with` block, once it has ended."""
    began = time.process_time()
    ended: list[float] = []
    yield lambda: ended[0] - began
    ended.append(time.process_time())


def show(results: Mapping[str, TrainingResult]) -> None:
    print(f"\n{TITLE}\n")
    for name, found in results.items():
        scores: Sequence[str] = [f"{metric} {value:.3f}" for metric, value in found.scores.items()]
        print(f"{name:24}{found.cpu_seconds:8.1f} s  {'  '.join(scores)}", flush=True)


if __name__ == "__main__":
    found = compare(Path(sys.argv[1]))
    show(found)
    print(json.dumps({name: each._asdict() for name, each in found.items()}))
