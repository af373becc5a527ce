"""Evaluation: measures a recommender in the test and validation windows, beside the baselines, or on another shop's data.

python -m ml.recommender.evaluate --train train.parquet --test test.parquet --k 20 [--repeat] --out ranked.parquet
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ml.recommender import baselines, metrics, other_shops
from ml.recommender.candidates import COUNT, candidates
from ml.recommender.features import FEATURES, WINDOW
from ml.recommender.interactions import Floats, Interactions, day_number
from ml.recommender.model import Recommender, Request
from ml.recommender.pairs_file import Unusable
from ml.recommender.parameters import Parameters
from ml.recommender.train import DATA, MODEL, PARAMETERS, Data, fit_before, read, recipe

K, LENGTH = 20, 300
# How many features a picture has room for.
PLOTTED_FEATURES = 20
METRICS, PLOTS, CARD = Path("metrics/recommender.json"), Path("plots/recommender"), Path("cards/recommender.md")
Truth = dict[str, set[str]]


def measured(recommender: Recommender, data: Data) -> dict[str, float]:
    """What a recommender is worth in the WINDOW days from its cutoff on: by variant, and of the baselines beside it.

    The variants: `all` products; `new` ones, which the customer has not bought before; `no_history`, whoever buys for the first time.
    A product counts once, and only if it was sold before the cutoff. A variant that nobody is of is left out, but for its count.
    """
    start = day_number(recommender.cutoff)
    bought = Interactions.of(data.interactions).since(start, start + WINDOW)
    catalogue = recommender.product_indices
    sold = {number: {product for product in products.tolist() if product in catalogue} for number, products in bought.items()}
    known = {number: products for number, products in sold.items() if products and number in recommender.customer_indices}
    first = {number: products for number, products in sold.items() if products and number not in recommender.customer_indices}
    held = {number: {purchase.product_id for purchase in recommender.purchases(number)} for number in known}
    fresh = {number: products - held[number] for number, products in known.items() if products - held[number]}
    answers = {"all": known, "new": fresh, "no_history": first}
    # Sums of floating-point numbers depend on how many threads share them, and such short ones are the slower for it.
    with threadpool_limits(1):
        lists = {
            "all": {number: ranked(recommender, Request(number)) for number in known},
            "new": {number: ranked(recommender, Request(number, include_purchased=False)) for number in fresh},
            "no_history": dict.fromkeys(first, ranked(recommender, Request())),
        }
    size = len(catalogue)
    values: dict[str, float] = {}
    for variant, truth in answers.items():
        values[f"{variant}.users"] = len(truth)
        if truth:
            values |= named(variant, metrics.scores(lists[variant], truth, size, K))
            values[f"{variant}.candidate_recall"] = metrics.recall({one: set(ranks) for one, ranks in lists[variant].items()}, truth)
    for baseline, ranks in beside(recommender.history, start, held, first).items():
        truth = answers[baseline.split(".")[0]]
        if truth:
            values |= named(baseline, metrics.scores(ranks, truth, size, K))
    return values


def beside(history: Interactions, cutoff: int, held: Truth, first: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """The baselines' lists for customers, by variant and baseline. held: what each customer of the history has bought before."""
    place = {number: index for index, number in enumerate(history.customer_numbers.tolist())}
    popular = baselines.popularity(history, cutoff)

    def best(scores: Floats, excluded: AbstractSet[str] = frozenset()) -> list[str]:
        products: list[str] = history.product_ids[candidates(scores, ~np.isin(history.product_ids, list(excluded)), K)].tolist()
        return products

    return {
        "all.own_purchases": {number: best(baselines.own_purchases(history, cutoff, place[number])) for number in held},
        "all.popularity": dict.fromkeys(held, best(popular)),
        "new.popularity": {number: best(popular, products) for number, products in held.items()},
        "no_history.popularity": dict.fromkeys(first, best(popular)),
    }


def ranked(recommender: Recommender, request: Request) -> list[str]:
    """The product ids of an answer, best first: far more than are measured, to see what a list holds at all."""
    return recommender.recommend(request, limit=LENGTH).ids


def named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """The values with a prefix to their names."""
    return {f"{prefix}.{name}": value for name, value in values.items()}


def measure(folder: Path, numbers: Mapping[str, Any]) -> dict[str, float]:
    """What the recipe of these numbers comes to in the test window of a folder of clean data."""
    data = read(folder)
    return named("test", measured(fit_before(data, data.test_date, Parameters.model_validate(numbers)), data))


def run_stage(report: Callable[[str], None]) -> None:
    """Measures the trained model in the test window and the full recipe in the validation window too; writes metrics, plots and card."""
    data, (name, numbers) = read(DATA), recipe(PARAMETERS)
    recommender = Recommender.load(MODEL)
    report(f"measuring in the test window from {recommender.cutoff}")
    values = named("test", measured(recommender, data))
    if name == "full":
        report(f"measuring in the validation window from {data.validation_date}")
        before = fit_before(data, data.validation_date, Parameters.model_validate(numbers))
        values |= named("validation", measured(before, data))
    for path in (METRICS.parent, PLOTS, CARD.parent):
        path.mkdir(parents=True, exist_ok=True)
    METRICS.write_text(json.dumps(named("recommender", values), indent=1) + "\n")
    ndcg = f".ndcg_at_{K}"
    write_table(
        PLOTS / "ndcg.csv", ("list", "ndcg"), [(key.removesuffix(ndcg), value) for key, value in values.items() if key.endswith(ndcg)]
    )
    for name, booster in (("all", recommender.ranker_all), ("new", recommender.ranker_new)):
        if booster is not None:
            gains = sorted(zip(booster.feature_importance("gain").tolist(), FEATURES, strict=True), reverse=True)
            best = [(feature, gain) for gain, feature in gains[:PLOTTED_FEATURES]]
            write_table(PLOTS / f"importance_{name}.csv", ("feature", "gain"), best)
    CARD.write_text(card(data, recommender.cutoff, numbers, values))


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Writes a CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def card(data: Data, cutoff: date, numbers: Mapping[str, Any], values: Mapping[str, float]) -> str:
    """The model card, in Markdown."""
    lines = []
    windows = {window: short for window, short in (("validation", "val."), ("test", "test")) if f"{window}.all.users" in values}
    for variant in ("all", "new", "no_history"):
        for baseline in ("", ".own_purchases", ".popularity"):
            keys = [f"{window}.{variant}{baseline}.{name}" for window in windows for name in SHOWN]
            if keys[0] in values:
                label = f"{variant.replace('_', ' ')}: {baseline[1:].replace('_', ' ') or '**the recommender**'}"
                lines.append(f"| {label} | {' | '.join(f'{values[key]:.3f}' for key in keys)} |")
    counts = ", ".join(f"{int(values[f'test.{variant}.users'])} {variant.replace('_', ' ')}" for variant in ("all", "new", "no_history"))
    recalls = ", ".join(f"{values[f'test.{variant}.candidate_recall']:.3f} {variant}" for variant in ("all", "new"))
    return CARD_TEXT.format(
        events=data.interactions.num_rows,
        through=data.through_date,
        sha256=data.sha256,
        validation=data.validation_date,
        test=cutoff,
        counts=counts,
        recalls=recalls,
        table="\n".join(lines),
        recipe="\n".join(f"| {name} | {value} |" for name, value in numbers.items()),
        columns=" | ".join(f"{short} {name.removesuffix(f'_at_{K}')}" for short in windows.values() for name in SHOWN),
        rule=" | ".join(["--:"] * len(windows) * len(SHOWN)),
        count=COUNT,
        length=LENGTH,
        window=WINDOW,
        k=K,
    )


SHOWN = tuple(f"{name}_at_{K}" for name in ("ndcg", "recall", "hit_rate", "coverage"))
CARD_TEXT = """# The recommender

Ranks products for a customer by what they will want next. Two stages: generators, blended, choose {count} candidates; a LightGBM
lambdarank model orders them, one where products bought before may show and one where they may not.

## Data

{events:,} purchases (customer, product, day) through {through}; content hash `{sha256}`.

## Measured

At {k}, the mean over the customers who bought something in a window of {window} days; the model has seen nothing of the window. The
validation window begins on {validation}, the test window on {test}. Scored in the test window: {counts}. `all`: any product; `new`: only
products that the customer had not bought before; `no history`: first-time buyers, of whom nothing is known.

| list | {columns} |
|---|{rule}|
{table}

The best {length} of a list hold this share of what was bought in the test window: {recalls}.

## Recipe

| number | value |
|---|--:|
{recipe}

## Limits

* One window is narrow: the standard error of NDCG is about 0.007 (all) and 0.005 (new).
* A product that was never sold is not recommended, and of one that few have bought little is known but its name.
* Who buys for the first time gets what is popular; looking at products or filling the basket is what changes that.
* Views and baskets are not in the data that it has learnt from: how much they weigh is set by hand.
* It repeats what customers did, and so what they were offered: it cannot tell what would have sold had it been shown.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.recommender.evaluate", description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="Parquet with `user, product` and, where there are, `time, quantity`")
    parser.add_argument("--test", type=Path, required=True, help="the same columns: what was bought after or besides")
    parser.add_argument("--k", type=int, default=K, help="how many products a list has and is measured at")
    parser.add_argument("--repeat", action="store_true", help="whether products of the train file may show again")
    parser.add_argument("--out", type=Path, required=True, help="Parquet with `user, product, rank, score` is written here")
    given = parser.parse_args()
    if given.k < 1:
        parser.error(f"--k is how many products a list has: {given.k} is too few")
    try:
        worth = other_shops.evaluate(given.train, given.test, given.k, given.repeat, Parameters(), given.out)
    except Unusable as error:
        sys.exit(str(error))
    print(json.dumps(worth))


if __name__ == "__main__":
    main()
