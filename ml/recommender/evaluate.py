"""Evaluation: measures a recommender in the test and validation windows, beside the baselines, or on another shop's data.

python -m ml.recommender.evaluate --train train.parquet --test test.parquet --k 20 [--repeat] --out ranked.parquet
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from ml.recommender import baselines, metrics, other_shops
from ml.recommender.arrays import Floats
from ml.recommender.candidates import select_candidates
from ml.recommender.card import write_card
from ml.recommender.features import FEATURES, WINDOW
from ml.recommender.history import PurchaseHistory, day_number
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.model import Recommender
from ml.recommender.pairs_file import InvalidPairs
from ml.recommender.request import RecommendationRequest
from ml.recommender.train import DATA, MODEL, PARAMETERS, TrainingData, fit_before, read_data, read_recipe

# Metrics are measured at K; lists are far longer, to see which share of the purchases they contain at all.
K, LENGTH = 20, 300
# A plot has room for so many features.
PLOTTED_FEATURES = 20
METRICS, PLOTS, CARD = Path("metrics/recommender.json"), Path("plots/recommender"), Path("cards/recommender.md")
SCORES = Path("scores/recommender_scores.json")
Purchased = dict[str, set[str]]
Value = TypeVar("Value")


def measure(folder: Path, hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a recipe in the test window of a folder of clean data."""
    data = read_data(folder)
    recommender = fit_before(data, data.test_date, RecommenderHyperparameters.model_validate(hyperparameters))
    return _prefix("test", window_metrics(recommender, data))


def window_metrics(recommender: Recommender, data: TrainingData) -> dict[str, float]:
    """The metrics in the WINDOW days from the recommender's cutoff on, by variant, and those of the baselines.

    The variants: `all` products; `new` ones, which the customer has not bought before; `no_history`, customers who buy for the first time.
    A product counts once, and only if it was sold before the cutoff. Of a variant without customers there is only their count.
    """
    return measure_window(recommender, data)[0]


def measure_window(recommender: Recommender, data: TrainingData) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The metrics of `window_metrics`, and the NDCG of each customer by variant, as `all.ndcg_at_20`."""
    truth = _purchases_by_variant(recommender, data)
    # Sums of floating-point numbers depend on how many threads share them, and such short ones are slower with several.
    with threadpool_limits(1):
        lists = {
            "all": {number: _list(recommender, RecommendationRequest(number)) for number in truth["all"]},
            "new": {number: _list(recommender, RecommendationRequest(number, include_purchased=False)) for number in truth["new"]},
            "no_history": dict.fromkeys(truth["no_history"], _list(recommender, RecommendationRequest())),
        }
    size = len(recommender.product_indices)
    values: dict[str, float] = {}
    for variant, bought in truth.items():
        values[f"{variant}.users"] = len(bought)
        if bought:
            values |= _prefix(variant, metrics.scores(lists[variant], bought, size, K))
            values[f"{variant}.candidate_recall"] = metrics.recall({one: set(ids) for one, ids in lists[variant].items()}, bought)
    for baseline, ids in _baseline_lists(recommender, truth).items():
        bought = truth[baseline.split(".")[0]]
        if bought:
            values |= _prefix(baseline, metrics.scores(ids, bought, size, K))
    by_customer = {
        f"{variant}.ndcg_at_{K}": {one: round(metrics.ndcg(lists[variant][one], products, K), 6) for one, products in bought.items()}
        for variant, bought in truth.items()
    }
    return values, by_customer


def run_stage(report: Callable[[str], None]) -> None:
    """Measures the trained model in the test window, and the full recipe in the validation window too; writes metrics, plots and card."""
    data, (recipe, hyperparameters) = read_data(DATA), read_recipe(PARAMETERS)
    recommender = Recommender.load(MODEL)
    report(f"measuring in the test window from {recommender.cutoff}")
    found, by_customer = measure_window(recommender, data)
    values, scores = _prefix("test", found), _prefix("test", by_customer)
    if recipe == "full":
        report(f"measuring in the validation window from {data.validation_date}")
        before = fit_before(data, data.validation_date, RecommenderHyperparameters.model_validate(hyperparameters))
        found, by_customer = measure_window(before, data)
        values, scores = values | _prefix("validation", found), scores | _prefix("validation", by_customer)
    for folder in (METRICS.parent, PLOTS, CARD.parent, SCORES.parent):
        folder.mkdir(parents=True, exist_ok=True)
    SCORES.write_text(json.dumps(scores) + "\n")
    METRICS.write_text(json.dumps(_prefix("recommender", values), indent=1) + "\n")
    _write_plots(recommender, values)
    exposed = recommender.exposed_lists
    CARD.write_text(write_card(data, recommender.cutoff, hyperparameters, values, k=K, length=LENGTH, exposed=exposed))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ml.recommender.evaluate", description="Recommends to the users of a test file, and scores the lists."
    )
    parser.add_argument("--train", type=Path, required=True, help="Parquet with `user, product` and, optionally, `time, quantity`")
    parser.add_argument("--test", type=Path, required=True, help="the same columns: what was bought later, or withheld")
    parser.add_argument("--k", type=int, default=K, help="the length of the lists, at which they are measured")
    parser.add_argument("--repeat", action="store_true", help="recommend products of the train file again")
    parser.add_argument("--out", type=Path, required=True, help="the Parquet file with `user, product, rank, score` to write")
    arguments = parser.parse_args()
    if arguments.k < 1:
        parser.error(f"--k is the length of the lists: {arguments.k} is too few")
    try:
        values = other_shops.evaluate(
            arguments.train, arguments.test, arguments.k, RecommenderHyperparameters(), arguments.out, include_purchased=arguments.repeat
        )
    except InvalidPairs as error:
        sys.exit(str(error))
    print(json.dumps(values))


def _purchases_by_variant(recommender: Recommender, data: TrainingData) -> dict[str, Purchased]:
    """The products that each customer bought in the window, by variant."""
    start = day_number(recommender.cutoff)
    bought = PurchaseHistory.from_table(data.interactions).products_bought(start, start + WINDOW)
    sold_before = recommender.product_indices
    findable = {number: {product for product in products.tolist() if product in sold_before} for number, products in bought.items()}
    findable = {number: products for number, products in findable.items() if products}
    known = {number: products for number, products in findable.items() if number in recommender.customer_indices}
    new = {number: products - _purchased_before(recommender, number) for number, products in known.items()}
    return {
        "all": known,
        "new": {number: products for number, products in new.items() if products},
        "no_history": {number: products for number, products in findable.items() if number not in recommender.customer_indices},
    }


def _purchased_before(recommender: Recommender, number: str) -> set[str]:
    return {purchase.product_id for purchase in recommender.purchases(number)}


def _baseline_lists(recommender: Recommender, truth: Mapping[str, Iterable[str]]) -> dict[str, dict[str, list[str]]]:
    """The lists of the baselines, by variant and baseline, then customer."""
    history, cutoff = recommender.history, day_number(recommender.cutoff)
    popular = baselines.popularity(history, cutoff)

    def best(scores: Floats, excluded: AbstractSet[str] = frozenset()) -> list[str]:
        allowed = ~np.isin(history.product_ids, list(excluded))
        products: list[str] = history.product_ids[select_candidates(scores, allowed, K)].tolist()
        return products

    indices = recommender.customer_indices
    return {
        "all.own_purchases": {number: best(baselines.own_purchases(history, cutoff, indices[number])) for number in truth["all"]},
        "all.popularity": dict.fromkeys(truth["all"], best(popular)),
        "new.popularity": {number: best(popular, _purchased_before(recommender, number)) for number in truth["new"]},
        "no_history.popularity": dict.fromkeys(truth["no_history"], best(popular)),
    }


def _list(recommender: Recommender, request: RecommendationRequest) -> list[str]:
    return recommender.recommend(request, limit=LENGTH).ids


def _write_plots(recommender: Recommender, values: Mapping[str, float]) -> None:
    ndcg = f".ndcg_at_{K}"
    rows = [(name.removesuffix(ndcg), value) for name, value in values.items() if name.endswith(ndcg)]
    _write_table(PLOTS / "ndcg.csv", ("list", "ndcg"), rows)
    for name, booster in (("all", recommender.ranker_all), ("new", recommender.ranker_new)):
        if booster is not None:
            gains = sorted(zip(booster.feature_importance("gain").tolist(), FEATURES, strict=True), reverse=True)
            best = [(feature, gain) for gain, feature in gains[:PLOTTED_FEATURES]]
            _write_table(PLOTS / f"importance_{name}.csv", ("feature", "gain"), best)


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _prefix(prefix: str, values: Mapping[str, Value]) -> dict[str, Value]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


if __name__ == "__main__":
    main()
