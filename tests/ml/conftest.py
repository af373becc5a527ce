"""A registry with models in it, and the loop that services run on."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.mlflow import Mlflow
from tests.loops import Loop, running_loop
from tests.ml.shelf import Shelf

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture
def shelf(mlflow: Mlflow, loop: Loop, tmp_path: Path) -> Iterator[Shelf]:
    """A model of a name of its own in MLflow, without a version yet."""
    shelf = Shelf(mlflow.url, f"standin-{next(NUMBERS)}", tmp_path / "shelf", loop)
    yield shelf
    shelf.close()
