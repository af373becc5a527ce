"""The forecaster as standard MLflow loads it."""

from pathlib import Path

import pytest

from ml.forecaster import pyfunc
from ml.forecaster.forecasts import UNITS_METRIC, Scope
from ml.forecaster.model import Forecaster
from ml.pipeline import packaging
from tests.ml.mlflow_load import predict_example


def test_mlflow_loads_a_packaged_forecaster_which_answers_as_the_service_does(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path / "saved")
    (tmp_path / "work").mkdir()
    package = packaging.package(tmp_path / "saved", pyfunc, tmp_path / "work")
    rows = predict_example(str(package), tmp_path, {"horizon_days": 14, "granularity": "week"})
    assert {row["scope"] for row in rows} == {"shop", "category", "country", "product"}
    shop = [row for row in rows if row["scope"] == "shop"]
    expected = forecaster.forecast(Scope(), UNITS_METRIC, 14, "week")
    assert [row["date"][:10] for row in shop] == [point.date.isoformat() for point in expected]
    for row, point in zip(shop, expected, strict=True):
        assert (row["mean"], row["lower_80"], row["upper_95"]) == pytest.approx((point.mean, point.bands[80][0], point.bands[95][1]), 1e-3)
