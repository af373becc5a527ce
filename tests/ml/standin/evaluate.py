"""Evaluation of the stand-in."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ml.pipeline import parameters

# The score of the baseline.
BASELINE = 0.5


def measure(data: Path, recipe: Mapping[str, Any]) -> dict[str, float]:
    """The score that the recipe names, and a lower one for data of few rows."""
    few = pq.read_metadata(data / "interactions.parquet").num_rows < 3
    return {"test.score": recipe["quality"] - (0.2 if few else 0), "test.baseline.score": BASELINE}


def run_stage(report: Callable[[str], None]) -> None:
    # `ml.recommender.evaluate`, where the stand-in is in its place.
    model = __name__.split(".")[1]
    report("measuring the stand-in")
    recipe = parameters.read(parameters.FILE).hyperparameters(model)
    scores = {f"{model}.{name}": value for name, value in measure(Path("data/clean"), recipe).items()}
    for folder in (Path("metrics"), Path("cards"), Path("plots", model), Path("scores")):
        folder.mkdir(parents=True, exist_ok=True)
    Path("metrics", f"{model}.json").write_text(json.dumps(scores))
    Path("scores", f"{model}_scores.json").write_text("{}")
    Path("cards", f"{model}.md").write_text(f"# {model}\n")
    Path("plots", model, "score.csv").write_text(f"recipe,score\n{model},{recipe['quality']}\n")
