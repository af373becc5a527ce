"""A model registry, and an event loop."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.mlflow import Mlflow
from tests.loops import Loop, running_loop
from tests.ml.model_registry import ModelRegistry

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture
def registry(mlflow: Mlflow, loop: Loop, tmp_path: Path) -> Iterator[ModelRegistry]:
    """A registered name of its own in MLflow, without versions."""
    registry = ModelRegistry(mlflow, f"standin-{next(NUMBERS)}", tmp_path / "registry", loop)
    yield registry
    registry.close()
