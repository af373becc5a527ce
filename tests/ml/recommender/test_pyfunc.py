"""The recommender as standard MLflow loads it."""

from pathlib import Path

from ml.pipeline import packaging, tracking
from ml.recommender import pyfunc
from ml.recommender.model import Recommender
from ml.recommender.request import RecommendationRequest
from tests.engines.mlflow import Mlflow
from tests.ml.mlflow_load import predict_example
from tests.ml.model_registry import SIGNER, provenance

MODEL = "recommender-by-mlflow"


def test_mlflow_loads_a_registered_version_which_answers_as_the_service_does(
    recommender: Recommender, mlflow: Mlflow, tmp_path: Path
) -> None:
    recommender.save(tmp_path / "saved")
    (tmp_path / "work").mkdir()
    package = packaging.package(tmp_path / "saved", pyfunc, tmp_path / "work")
    assert not [path for path in package.rglob("*") if path.suffix in (".pkl", ".pickle")]
    number = tracking.register(mlflow.url, MODEL, provenance(tmp_path / "saved"), SIGNER, package, [])
    (tmp_path / "elsewhere").mkdir()
    rows = predict_example(f"models:/{MODEL}/{number}", tmp_path / "elsewhere", {"limit": 3}, mlflow.url)
    known = str(recommender.history.customer_numbers[0])
    expected = [(one, rank, product) for one in (known, "") for rank, product in enumerate(products(recommender, one), start=1)]
    assert [(row["customer_number"], row["rank"], row["product_id"]) for row in rows] == expected


def products(recommender: Recommender, number: str) -> list[str]:
    return recommender.recommend(RecommendationRequest(number), limit=3).ids
