"""Training of the stand-in."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ml.pipeline import parameters

from .model import Standin


def refit(data: Path, recipe: Mapping[str, Any]) -> Standin:
    answer = float(pq.read_metadata(data / "interactions.parquet").num_rows)
    return Standin(answer, answer + recipe.get("lie", 0))


def run_stage(report: Callable[[str], None]) -> None:
    # `ml.recommender.train`, where the stand-in is in its place.
    model = __name__.split(".")[1]
    report("fitting the stand-in")
    recipe = parameters.read(parameters.FILE).hyperparameters(model)
    refit(Path("data/clean"), recipe).save(Path("models", model))
