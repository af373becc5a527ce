"""Training: fits the recommender on the days before the test window, or on all history."""

import json
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

from lake.columns import DATE, INTERACTIONS, NAME, PRODUCT_ID
from ml.recommender.features import WINDOW, product_features
from ml.recommender.fitting import fitted
from ml.recommender.interactions import Interactions, before, day_number
from ml.recommender.model import Recommender
from ml.recommender.parameters import Parameters
from ml.recommender.ranker import blend, ranker, windows

DATA, MODEL, PARAMETERS = Path("data/clean"), Path("models/recommender"), Path("params.yaml")


@dataclass(frozen=True)
class Data:
    """The clean data, as far as the recommender reads it."""

    # With the columns of INTERACTIONS.
    interactions: pa.Table
    # By product id.
    names: Mapping[str, str]
    # The content's hash; empty where it has none.
    sha256: str = ""

    @property
    def through_date(self) -> date:
        """The last day with an event."""
        last: date = pc.max(self.interactions[DATE]).as_py()
        return last

    @property
    def test_date(self) -> date:
        """The first day of the test window: the last WINDOW days."""
        return self.through_date - timedelta(days=WINDOW - 1)

    @property
    def validation_date(self) -> date:
        """The first day of the validation window: the WINDOW days before the test window."""
        return self.test_date - timedelta(days=WINDOW)


def read(folder: Path) -> Data:
    """The clean data in a folder."""
    products = pq.read_table(folder / "products.parquet", columns=[PRODUCT_ID, NAME])
    names = dict(zip(products[PRODUCT_ID].to_pylist(), products[NAME].to_pylist(), strict=True))
    facts = json.loads((folder / "dataset.json").read_bytes())
    return Data(pq.read_table(folder / "interactions.parquet", columns=list(INTERACTIONS)), names, facts["sha256"])


def recipe(file: Path) -> tuple[str, Mapping[str, Any]]:
    """The name and the numbers of the recipe that a file of parameters has chosen."""
    content = YAML(typ="safe", pure=True).load(file)
    return content["recipe"], content["recommender"][content["recipe"]]


def fit_before(data: Data, cutoff: date, parameters: Parameters) -> Recommender:
    """A recommender that has learnt from the days before a cutoff, and from nothing else."""
    known = before(data.interactions, cutoff)
    if not known.num_rows:
        raise ValueError(f"nobody bought anything before {cutoff}")
    history, end = Interactions.of(known), day_number(cutoff)
    # Sums of floating-point numbers depend on how many threads share them.
    with threadpool_limits(1):
        learnt_from = windows(known, data.names, end, parameters)
        weights_all, weights_new = (blend(learnt_from, repeats, parameters) for repeats in (True, False))
        ranker_all = ranker(learnt_from, weights_all, True, parameters)
        ranker_new = ranker(learnt_from, weights_new, False, parameters)
        generators = fitted(history, data.names, end, parameters)
    return Recommender(
        history,
        generators,
        product_features(history, end),
        weights_all,
        weights_new,
        ranker_all,
        ranker_new,
        cutoff,
        {"parameters": parameters.model_dump(), "data_sha256": data.sha256},
    )


def refit(folder: Path, numbers: Mapping[str, Any]) -> Recommender:
    """A recommender that has learnt from all history in a folder of clean data, by the numbers of a recipe."""
    data = read(folder)
    return fit_before(data, data.through_date + timedelta(days=1), Parameters.model_validate(numbers))


def run_stage(report: Callable[[str], None]) -> None:
    """Fits the chosen recipe on the days before the test window, and saves the model."""
    data, (_, numbers) = read(DATA), recipe(PARAMETERS)
    report(f"fitting on the days before {data.test_date}")
    fit_before(data, data.test_date, Parameters.model_validate(numbers)).save(MODEL)
