"""The forecaster as MLflow loads it: this code is stored with each version beside its artifact, and nothing is pickled."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature, set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from ml.forecaster.forecasts import UNITS_METRIC, Granularity, Metric, Scope, ScopeKind
from ml.forecaster.model import Forecaster

LEVELS = (80, 95)
SCOPE, NAME = "scope", "name"
_NUMBERS = ("mean", "median", *(f"{end}_{level}" for level in LEVELS for end in ("lower", "upper")))
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, SCOPE), ColSpec(DataType.string, NAME)]),
    outputs=Schema(
        [
            ColSpec(DataType.string, SCOPE),
            ColSpec(DataType.string, NAME),
            ColSpec(DataType.datetime, "date"),
            *(ColSpec(DataType.double, name) for name in _NUMBERS),
        ]
    ),
    params=ParamSchema(
        [
            ParamSpec("metric", DataType.string, UNITS_METRIC),
            ParamSpec("horizon_days", DataType.long, 28),
            ParamSpec("granularity", DataType.string, "day"),
        ]
    ),
)


class ForecasterPyfunc(PythonModel):
    """Forecasts scopes: the shop, or a category, country or product by its name."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the artifact."""
        self._forecaster = Forecaster.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The forecasts of each scope, one row per scope and period. Raises `ScopeNotFound`."""
        chosen = {**_defaults(), **(params or {})}
        scopes = [Scope(kind, name) for kind, name in zip(model_input[SCOPE], model_input[NAME], strict=True)]
        return pd.concat([self._forecast(scope, **chosen) for scope in scopes], ignore_index=True)

    def _forecast(self, scope: Scope, metric: Metric, horizon_days: int, granularity: Granularity) -> pd.DataFrame:
        points = self._forecaster.forecast(scope, metric, int(horizon_days), granularity, LEVELS)
        rows = [(point.mean, point.median, *(end for level in LEVELS for end in point.bands[level])) for point in points]
        table = pd.DataFrame(rows, columns=list(_NUMBERS), dtype=float)
        table.insert(0, SCOPE, scope.kind)
        table.insert(1, NAME, scope.name)
        table.insert(2, "date", pd.to_datetime([point.date for point in points]))
        return table


def input_example(folder: Path) -> pd.DataFrame:
    """The shop, and a product of the forecaster in a folder."""
    kinds: dict[ScopeKind, str] = {scope.kind: scope.name for scope in Forecaster.load(folder).scopes}
    return pd.DataFrame({SCOPE: list(kinds), NAME: list(kinds.values())})


def _defaults() -> dict[str, Any]:
    return {parameter.name: parameter.default for parameter in SIGNATURE.params}


set_model(ForecasterPyfunc())
