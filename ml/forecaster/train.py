"""Training: fits the forecaster on the days before the last test window, or on all history."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ml.forecaster.direct import Recipe
from ml.forecaster.fitting import TooShort, fit_shop
from ml.forecaster.model import HORIZON, NEAR, Forecaster
from ml.forecaster.shop import Shop, read_shop

DATA, MODEL, PARAMETERS = Path("data/clean"), Path("models/forecaster"), Path("params.yaml")


def refit(folder: Path, numbers: Mapping[str, Any]) -> Forecaster:
    """A forecaster that has learnt from all history in a folder of clean data, by the numbers of a recipe. Raises `TooShort`."""
    return fit_shop(read_shop(folder), Recipe(**numbers), facts(folder, numbers))


def fit_before(shop: Shop, day: int, numbers: Mapping[str, Any], told: Mapping[str, object], horizon: int = HORIZON) -> Forecaster:
    """A forecaster that has learnt from the first `day` days, and from nothing else; `horizon` as for `fit_shop`. Raises `TooShort`."""
    return fit_shop(shop.before(max(day, 0)), Recipe(**numbers), told, horizon)


def facts(folder: Path, numbers: Mapping[str, Any]) -> dict[str, object]:
    """What a saved forecaster says of where it comes from."""
    dataset = json.loads((folder / "dataset.json").read_bytes())
    return {"parameters": dict(numbers), "data_sha256": dataset["sha256"]}


def recipe(file: Path) -> tuple[str, Mapping[str, Any]]:
    """The name and the numbers of the recipe that a file of parameters has chosen."""
    content = YAML(typ="safe", pure=True).load(file)
    return content["recipe"], content["forecaster"][content["recipe"]]


def run_stage(report: Callable[[str], None]) -> None:
    """Fits the chosen recipe on the days before the last test window, and saves the model."""
    shop, (_, numbers) = read_shop(DATA), recipe(PARAMETERS)
    day = shop.day_count - NEAR
    report(f"fitting on the days before {shop.first_day + day}")
    try:
        fit_before(shop, day, numbers, facts(DATA, numbers)).save(MODEL)
    except TooShort as error:
        sys.exit(f"forecaster: {error}")
