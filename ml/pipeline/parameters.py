"""The numbers of the pipeline: `params.yaml`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from ruamel.yaml import YAML

from ml.registry.gate import Rule

FILE = Path("params.yaml")
Recipe = Literal["quick", "full"]


class GateParameters(BaseModel, frozen=True, extra="forbid"):
    """What the gate asks for."""

    # By which share a metric may be worse than the champion's.
    noise: float
    # The content hash of the data that the rules' limits hold on.
    limits_of: str
    recommender: tuple[Rule, ...]
    forecaster: tuple[Rule, ...]

    def of(self, model: str) -> tuple[Rule, ...]:
        """The rules for a model."""
        return {"recommender": self.recommender, "forecaster": self.forecaster}[model]


class Parameters(BaseModel, frozen=True):
    """The file as it is read: which recipe, the recipes of each model, and the gate."""

    recipe: Recipe
    gate: GateParameters
    recommender: Mapping[Recipe, Mapping[str, Any]]
    forecaster: Mapping[Recipe, Mapping[str, Any]]

    def of(self, model: str) -> Mapping[str, Any]:
        """The chosen recipe of a model."""
        return {"recommender": self.recommender, "forecaster": self.forecaster}[model][self.recipe]


def read(file: Path) -> Parameters:
    """The parameters in a file. Raises pydantic's `ValidationError`, which names what is wrong."""
    return Parameters.model_validate(YAML(typ="safe", pure=True).load(file))


def choose(file: Path, recipe: Recipe) -> None:
    """Lets the file name another recipe, and leaves all else in it as it is."""
    yaml = YAML()
    content = yaml.load(file)
    content["recipe"] = recipe
    yaml.dump(content, file)
