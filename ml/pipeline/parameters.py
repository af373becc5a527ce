"""The parameters of the pipeline, as `params.yaml` has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from ruamel.yaml import YAML

from ml.registry.gate import Rule

FILE = Path("params.yaml")
RecipeName = Literal["quick", "full"]


class GateParameters(BaseModel, frozen=True, extra="forbid"):
    """The requirements of the gate."""

    noise: float
    """The share by which a metric may be worse than the champion's."""
    limits_of: str
    """The content hash of the data on which the rules' limits hold."""
    recommender: tuple[Rule, ...]
    forecaster: tuple[Rule, ...]

    def rules(self, model: str) -> tuple[Rule, ...]:
        """The rules for a model."""
        return {"recommender": self.recommender, "forecaster": self.forecaster}[model]


class Parameters(BaseModel, frozen=True):
    """The content of the file."""

    recipe: RecipeName
    gate: GateParameters
    recommender: Mapping[RecipeName, Mapping[str, Any]]
    forecaster: Mapping[RecipeName, Mapping[str, Any]]

    def hyperparameters(self, model: str) -> Mapping[str, Any]:
        """The hyperparameters of a model in the selected recipe."""
        return {"recommender": self.recommender, "forecaster": self.forecaster}[model][self.recipe]


def read(file: Path) -> Parameters:
    """Reads and validates a file. Raises pydantic's `ValidationError`."""
    return Parameters.model_validate(YAML(typ="safe", pure=True).load(file))


def select_recipe(file: Path, recipe: RecipeName) -> None:
    """Changes the selected recipe in a file, and nothing else."""
    yaml = YAML()
    content = yaml.load(file)
    content["recipe"] = recipe
    yaml.dump(content, file)
