"""The stand-in's training."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ml.pipeline import parameters

from .model import Standin


def refit(data: Path, recipe: Mapping[str, Any]) -> Standin:
    answer = float(pq.read_metadata(data / "interactions.parquet").num_rows)
    return Standin(answer, answer + recipe.get("lie", 0))


def main(model: str) -> None:
    recipe = parameters.read(parameters.FILE).of(model)
    refit(Path("data/clean"), recipe).save(Path("models", model))


if __name__ == "__main__":
    main(sys.argv[0].split("/")[-2])
