"""The model card, in Markdown."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.columns import CLICK_TIME, RECOMMENDATION_ID
from ml.recommender.candidates import CANDIDATE_COUNT
from ml.recommender.features import WINDOW
from ml.recommender.train import TrainingData

VARIANTS, BASELINES = ("all", "new", "no_history"), ("own_purchases", "popularity")
METRICS = ("ndcg", "recall", "hit_rate", "coverage")
TEXT = """# The recommender

Ranks products by what a customer is likely to buy next. Two stages: a blend of generators chooses {candidate_count} candidates; a LightGBM
lambdarank model orders them, one where products bought before may be recommended, and one where they may not.

## Data

{events:,} purchases (customer, product, day) through {through}; content hash `{sha256}`.{exposures}

## Metrics

At {k}, averaged over the customers who bought something in a window of {window} days, of which the model has seen nothing. The
validation window begins on {validation}, the test window on {test}. Scored in the test window: {counts}. `all`: any product; `new`: only
products that the customer had not bought before; `no history`: first-time buyers, of whom nothing is known.

| list | {columns} |
|---|{rule}|
{table}

Candidate recall: the best {length} of a list contain this share of what was bought in the test window: {recalls}.

## RecommenderHyperparameters

| name | value |
|---|--:|
{hyperparameters}

## Limits

* One window is narrow: the standard error of NDCG is about 0.007 (all) and 0.005 (new).
* A product that was never sold is not recommended, and of a product with few buyers little is known but its name.
* A first-time buyer gets popular products, until they view products or fill the basket.
* The training data has no views and baskets: their weights are set by hand.
* The model repeats what customers did, and so what they were offered: it cannot tell what would have sold had it been shown.
"""

EXPOSURES = """

{followed:,} lists that were shown led to a click or a purchase. The model that is measured here has learnt from {used:,} of them, the later
ones being unknown to it; from none if there are fewer than `least_exposures`."""


def write_card(
    data: TrainingData,
    cutoff: date,
    hyperparameters: Mapping[str, Any],
    values: Mapping[str, float],
    *,
    k: int,
    length: int,
    exposed: int = 0,
) -> str:
    """The text of the card.

    exposed: from how many lists that were shown the measured model has learnt
    values: the metrics, by window, variant and baseline
    k: the number of products that metrics are measured at
    length: the number of products of the lists
    """
    windows = {window: short for window, short in (("validation", "val."), ("test", "test")) if f"{window}.all.users" in values}
    names = [f"{name}_at_{k}" for name in METRICS]
    counts = ", ".join(f"{int(values[f'test.{variant}.users'])} {variant.replace('_', ' ')}" for variant in VARIANTS)
    recalled = {variant: values.get(f"test.{variant}.candidate_recall") for variant in ("all", "new")}
    recalls = ", ".join(f"{_figure(recall)} {variant}" for variant, recall in recalled.items())
    return TEXT.format(
        events=data.interactions.num_rows,
        exposures="" if data.exposures is None else EXPOSURES.format(followed=_count_followed(data.exposures), used=exposed),
        through=data.through_date,
        sha256=data.sha256,
        validation=data.validation_date,
        test=cutoff,
        counts=counts,
        recalls=recalls,
        table="\n".join(_rows(values, list(windows), names)),
        hyperparameters="\n".join(f"| {name} | {value} |" for name, value in hyperparameters.items()),
        columns=" | ".join(f"{short} {name}" for short in windows.values() for name in METRICS),
        rule=" | ".join(["--:"] * len(windows) * len(METRICS)),
        candidate_count=CANDIDATE_COUNT,
        length=length,
        window=WINDOW,
        k=k,
    )


def _count_followed(exposures: pa.Table) -> int:
    """The number of lists that led to a click or a purchase."""
    followed = exposures.filter(pc.is_valid(exposures[CLICK_TIME]))
    count: int = pc.count_distinct(followed[RECOMMENDATION_ID]).as_py()
    return count


def _rows(values: Mapping[str, float], windows: list[str], names: list[str]) -> list[str]:
    """The rows of the table: the recommender and its baselines, by variant."""
    rows = []
    for variant in VARIANTS:
        for baseline in ("", *BASELINES):
            prefix = f"{variant}.{baseline}" if baseline else variant
            keys = [f"{window}.{prefix}.{name}" for window in windows for name in names]
            if any(key in values for key in keys):
                label = f"{variant.replace('_', ' ')}: {baseline.replace('_', ' ') or '**the recommender**'}"
                rows.append(f"| {label} | {' | '.join(_figure(values.get(key)) for key in keys)} |")
    return rows


def _figure(value: float | None) -> str:
    """A metric in the card: a dash in a window in which nobody bought anything of that kind."""
    return "–" if value is None else f"{value:.3f}"
