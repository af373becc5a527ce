"""The stand-in as MLflow loads it."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature, set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, Schema

from ml.registry import artifact

SIGNATURE = ModelSignature(inputs=Schema([ColSpec(DataType.double, "add")]), outputs=Schema([ColSpec(DataType.double, "answer")]))


class StandinPyfunc(PythonModel):
    """Adds to the answer."""

    def load_context(self, context: PythonModelContext) -> None:
        self._answer = float(artifact.load(Path(context.artifacts["model"]), "standin").arrays["answer"][0])

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        return pd.DataFrame({"answer": self._answer + model_input["add"]})


def input_example(folder: Path) -> pd.DataFrame:
    return pd.DataFrame({"add": [1.0]})


set_model(StandinPyfunc())
