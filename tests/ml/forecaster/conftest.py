"""A small shop, and a forecaster that is fitted to it."""

from pathlib import Path

import pytest

from ml.forecaster.model import Forecaster
from ml.forecaster.train import refit
from tests.ml.forecaster.shop import SMALL, write_shop


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clean data of a small shop."""
    return write_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def forecaster(shop_folder: Path) -> Forecaster:
    """A forecaster that is fitted to the whole history of the small shop."""
    return refit(shop_folder, SMALL)
