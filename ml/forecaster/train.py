"""Training: fits the forecaster to the days before the last test window, or to the whole history."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ml.forecaster.accuracy import WINDOW
from ml.forecaster.fitting import HistoryTooShort, fit_shop
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.model import HORIZON, Forecaster
from ml.forecaster.shop import Shop, read_shop

DATA, MODEL, PARAMETERS = Path("data/clean"), Path("models/forecaster"), Path("params.yaml")


def refit(folder: Path, hyperparameters: Mapping[str, Any]) -> Forecaster:
    """Fits a forecaster to the whole history in a folder of clean data. Raises `HistoryTooShort`."""
    return fit_shop(read_shop(folder), Hyperparameters(**hyperparameters), artifact_facts(folder, hyperparameters))


def fit_before(shop: Shop, day: int, hyperparameters: Mapping[str, Any], facts: Mapping[str, object], horizon: int = HORIZON) -> Forecaster:
    """Fits a forecaster to the first `day` days and nothing else. Raises `HistoryTooShort`. facts, horizon: as of `fit_shop`"""
    return fit_shop(shop.before(max(day, 0)), Hyperparameters(**hyperparameters), facts, horizon)


def artifact_facts(folder: Path, hyperparameters: Mapping[str, Any]) -> dict[str, object]:
    """What an artifact records of its origin: the hyperparameters, and the hash of the data in a folder."""
    dataset = json.loads((folder / "dataset.json").read_bytes())
    return {"parameters": dict(hyperparameters), "data_sha256": dataset["sha256"]}


def chosen_recipe(file: Path) -> tuple[str, Mapping[str, Any]]:
    """The name and the hyperparameters of the recipe that a parameters file chooses."""
    content = YAML(typ="safe", pure=True).load(file)
    return content["recipe"], content["forecaster"][content["recipe"]]


def run_stage(report: Callable[[str], None]) -> None:
    """Fits the chosen recipe to the days before the last test window, and saves the model."""
    shop, (_, hyperparameters) = read_shop(DATA), chosen_recipe(PARAMETERS)
    day = shop.day_count - WINDOW
    report(f"fitting on the days before {shop.first_day + day}")
    try:
        fit_before(shop, day, hyperparameters, artifact_facts(DATA, hyperparameters)).save(MODEL)
    except HistoryTooShort as error:
        sys.exit(f"forecaster: {error}")
