"""Training: fits the recommender on the days before the test window, or on all history."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from threadpoolctl import threadpool_limits

from lake.columns import DATE, EXPOSURES, INTERACTIONS, NAME, PRODUCT_ID
from ml.recommender.features import WINDOW, product_features
from ml.recommender.fitting import fit_generators
from ml.recommender.history import PurchaseHistory, day_number, rows_before
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.model import EXPOSED_LISTS, Recommender
from ml.recommender.ranker import fit_blend, fit_ranker
from ml.recommender.windows import count_exposed, training_windows

DATA, MODEL, PARAMETERS = Path("data/clean"), Path("models/recommender"), Path("params.yaml")


@dataclass(frozen=True)
class TrainingData:
    """The part of the clean data that the recommender is fitted on."""

    interactions: pa.Table
    """With the columns of `lake.columns.INTERACTIONS`."""
    names: Mapping[str, str]
    """Product names by product id."""
    sha256: str = ""
    """The content hash of the clean data, or empty."""
    exposures: pa.Table | None = None
    """With the columns of `lake.columns.EXPOSURES`; None if the shop has none."""

    @property
    def through_date(self) -> date:
        """The last day with a purchase."""
        last: date = pc.max(self.interactions[DATE]).as_py()
        return last

    @property
    def test_date(self) -> date:
        """The first day of the test window, which is the last WINDOW days."""
        return self.through_date - timedelta(days=WINDOW - 1)

    @property
    def validation_date(self) -> date:
        """The first day of the validation window, which is the WINDOW days before the test window."""
        return self.test_date - timedelta(days=WINDOW)


def read_data(folder: Path) -> TrainingData:
    """Reads the training data from a folder of clean data."""
    products = pq.read_table(folder / "products.parquet", columns=[PRODUCT_ID, NAME])
    names = dict(zip(products[PRODUCT_ID].to_pylist(), products[NAME].to_pylist(), strict=True))
    dataset = json.loads((folder / "dataset.json").read_bytes())
    interactions, shown = pq.read_table(folder / "interactions.parquet", columns=list(INTERACTIONS)), folder / "exposures.parquet"
    exposures = pq.read_table(shown, columns=list(EXPOSURES)) if shown.exists() else None
    return TrainingData(interactions, names, dataset["sha256"], exposures)


def read_recipe(file: Path) -> tuple[str, Mapping[str, Any]]:
    """Returns the name and the hyperparameters of the recipe that `params.yaml` selects."""
    content = YAML(typ="safe", pure=True).load(file)
    return content["recipe"], content["recommender"][content["recipe"]]


def fit_before(data: TrainingData, cutoff: date, hyperparameters: RecommenderHyperparameters) -> Recommender:
    """Fits a recommender on the days before a cutoff, and on nothing else. Raises `ValueError` if there are none."""
    known = rows_before(data.interactions, cutoff)
    if not known.num_rows:
        raise ValueError(f"nobody bought anything before {cutoff}")
    history, end = PurchaseHistory.from_table(known), day_number(cutoff)
    # Sums of floating-point numbers depend on how many threads share them.
    with threadpool_limits(1):
        windows = training_windows(known, data.names, end, hyperparameters, data.exposures)
        weights_all, weights_new = (fit_blend(windows, hyperparameters, include_purchased=repeats) for repeats in (True, False))
        ranker_all = fit_ranker(windows, weights_all, hyperparameters, include_purchased=True)
        ranker_new = fit_ranker(windows, weights_new, hyperparameters, include_purchased=False)
        generators = fit_generators(history, data.names, end, hyperparameters)
    exposed = count_exposed(windows)
    return Recommender(
        history,
        generators,
        product_features(history, end),
        weights_all,
        weights_new,
        ranker_all,
        ranker_new,
        cutoff,
        {"parameters": hyperparameters.model_dump(), "data_sha256": data.sha256, **({EXPOSED_LISTS: exposed} if exposed else {})},
    )


def refit(folder: Path, hyperparameters: Mapping[str, Any]) -> Recommender:
    """Fits a recommender on all history in a folder of clean data."""
    data = read_data(folder)
    return fit_before(data, data.through_date + timedelta(days=1), RecommenderHyperparameters.model_validate(hyperparameters))


def run_stage(report: Callable[[str], None]) -> None:
    """Fits the selected recipe on the days before the test window, and saves the model."""
    data, (_, hyperparameters) = read_data(DATA), read_recipe(PARAMETERS)
    if not len(data.interactions):
        sys.exit("The sales name no customers: there is nothing that a recommender could learn from.")
    report(f"fitting on the days before {data.test_date}")
    fit_before(data, data.test_date, RecommenderHyperparameters.model_validate(hyperparameters)).save(MODEL)
