"""A whole shop's forecaster: learnt, measured, saved, loaded, refused."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lake.columns import DATE, REVENUE, UNITS
from ml.forecaster.evaluate import measure
from ml.forecaster.fitting import HistoryTooShort
from ml.forecaster.forecasts import METRICS
from ml.forecaster.model import Forecaster
from ml.forecaster.shop import read_shop
from ml.forecaster.train import fit_before, refit
from ml.pipeline import parameters
from ml.registry import artifact
from ml.registry.errors import InvalidArtifact
from ml.registry.gate import judge
from tests.ml.forecaster.shop import DAYS, OPENING, SMALL, daily_sales, write_shop

ROOT = Path(__file__).resolve().parents[3]
CUT = DAYS - 28


def answers(forecaster: Forecaster) -> list[object]:
    """All that it has to say."""
    told: list[object] = []
    for scope in forecaster.scopes:
        for metric in METRICS:
            told += [forecaster.forecast(scope, metric, 182), forecaster.forecast(scope, metric, 182, "month", (50,))]
            told += [forecaster.explain(scope, metric, 14), forecaster.history(scope, metric, DAYS)]
            told += forecaster.backtest(scope, metric).days
    return told


def fitted_before_the_cut(folder: Path, sales: pa.Table) -> Forecaster:
    return fit_before(read_shop(write_shop(folder, sales)), CUT, SMALL, {})


def test_what_comes_after_the_cut_moves_nothing(tmp_path: Path) -> None:
    sales = daily_sales()
    later = np.array(sales[DATE].to_pylist()) >= OPENING + timedelta(days=CUT)
    noisy = sales
    for column in (UNITS, REVENUE):
        values = np.where(later, np.random.default_rng(8).integers(1, 9000, len(later)), sales[column].to_numpy())
        noisy = noisy.set_column(noisy.column_names.index(column), column, pa.array(values).cast(sales[column].type))
    assert noisy != sales
    assert answers(fitted_before_the_cut(tmp_path / "noisy", noisy)) == answers(fitted_before_the_cut(tmp_path / "plain", sales))


def test_the_same_data_and_seed_give_the_same_model(shop_folder: Path, forecaster: Forecaster) -> None:
    assert answers(refit(shop_folder, SMALL)) == answers(forecaster)


def test_a_model_that_was_saved_and_loaded_answers_exactly_as_before(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path / "saved")
    loaded = Forecaster.load(tmp_path / "saved")
    loaded.check()
    assert answers(loaded) == answers(forecaster)


def test_a_model_is_refused_when_it_answers_otherwise_than_it_did(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path)
    saved = artifact.load(tmp_path, "forecaster")
    arrays = {**saved.arrays, "price": saved.arrays["price"] * 2}
    artifact.save(tmp_path, "forecaster", saved.facts, arrays=arrays, boosters=saved.boosters, tables=saved.tables)
    with pytest.raises(InvalidArtifact, match="does not answer as it did when it was saved: its example_weeks are others"):
        Forecaster.load(tmp_path).check()


def test_a_model_of_other_arrays_is_refused(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path)
    saved = artifact.load(tmp_path, "forecaster")
    tables = {**saved.tables, "rows": saved.tables["rows"].drop_columns(["knots"])}
    artifact.save(tmp_path, "forecaster", saved.facts, arrays=saved.arrays, boosters=saved.boosters, tables=tables)
    with pytest.raises(InvalidArtifact, match="is not a forecaster that this code can read: 'knots'"):
        Forecaster.load(tmp_path)


def test_a_recipe_is_measured_by_all_that_the_gate_asks_for_and_beats_the_last_week(shop_folder: Path) -> None:
    metrics = measure(shop_folder, SMALL)
    checks = judge(parameters.read(ROOT / parameters.FILE).gate.rules("forecaster"), metrics, metrics, noise=0, limited=True).checks
    assert np.isfinite([(check.measured, check.required) for check in checks]).all()
    assert metrics["test.mase"] < metrics["test.seasonal_naive.mase"]
    assert metrics["test.sql"] < metrics["test.seasonal_naive.sql"]


@pytest.mark.parametrize("made", [measure, refit])
def test_a_shop_too_young_is_refused(made: Callable[[Path, Mapping[str, Any]], object], tmp_path: Path) -> None:
    with pytest.raises(HistoryTooShort, match="days of sales are too few: it takes 112 before the first that is forecast"):
        made(write_shop(tmp_path, daily_sales(110)), SMALL)
