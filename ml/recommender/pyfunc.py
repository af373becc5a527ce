"""The recommender as MLflow loads it: this code is stored with each version beside its artifact, and nothing is pickled."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature, set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from ml.recommender.model import Recommender
from ml.recommender.request import RecommendationRequest

CUSTOMER = "customer_number"
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, CUSTOMER)]),
    outputs=Schema(
        [
            ColSpec(DataType.string, CUSTOMER),
            ColSpec(DataType.long, "rank"),
            ColSpec(DataType.string, "product_id"),
            ColSpec(DataType.double, "score"),
            ColSpec(DataType.string, "step"),
        ]
    ),
    params=ParamSchema([ParamSpec("limit", DataType.long, 20), ParamSpec("include_purchased", DataType.boolean, True)]),
)


class RecommenderPyfunc(PythonModel):
    """Recommends to customers of the sales history; one that is not in it gets what sells best."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the artifact."""
        self._recommender = Recommender.load(Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The best products of each customer, one row per customer and rank."""
        chosen = {**_defaults(), **(params or {})}
        return pd.concat([self._recommend(str(number), **chosen) for number in model_input[CUSTOMER]], ignore_index=True)

    def _recommend(self, number: str, limit: int, *, include_purchased: bool) -> pd.DataFrame:
        request = RecommendationRequest(number, include_purchased=bool(include_purchased))
        ranking = self._recommender.recommend(request, limit=int(limit))
        return pd.DataFrame(
            {
                CUSTOMER: number,
                "rank": range(1, len(ranking) + 1),
                "product_id": ranking.ids,
                "score": ranking.score.astype(float),
                "step": ranking.step.value,
            }
        )


def input_example(folder: Path) -> pd.DataFrame:
    """A customer whom the recommender in a folder knows, and one whom it does not."""
    return pd.DataFrame({CUSTOMER: [str(Recommender.load(folder).history.customer_numbers[0]), ""]})


def _defaults() -> dict[str, Any]:
    return {parameter.name: parameter.default for parameter in SIGNATURE.params}


set_model(RecommenderPyfunc())
