"""The forecaster of a shop: fitted, measured, saved and loaded."""

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
from tests.ml.processors import check_on_another_processor

ROOT = Path(__file__).resolve().parents[3]
CUT = DAYS - 28


def answers(forecaster: Forecaster) -> list[object]:
    """All answers of a forecaster."""
    found: list[object] = []
    for scope in forecaster.scopes:
        for metric in METRICS:
            found += [forecaster.forecast(scope, metric, 182), forecaster.forecast(scope, metric, 182, "month", (50,))]
            found += [forecaster.explain(scope, metric, 14), forecaster.history(scope, metric, DAYS)]
            found += forecaster.backtest(scope, metric).days
    return found


@pytest.fixture(scope="module")
def forecaster_answers(forecaster: Forecaster) -> list[object]:
    return answers(forecaster)


def fit_before_the_cut(folder: Path, sales: pa.Table) -> Forecaster:
    return fit_before(read_shop(write_shop(folder, sales)), CUT, SMALL, {})


def test_sales_after_the_cut_do_not_change_the_answers(tmp_path: Path) -> None:
    sales = daily_sales()
    later = np.array(sales[DATE].to_pylist()) >= OPENING + timedelta(days=CUT)
    noisy = sales
    for column in (UNITS, REVENUE):
        values = np.where(later, np.random.default_rng(8).integers(1, 9000, len(later)), sales[column].to_numpy())
        noisy = noisy.set_column(noisy.column_names.index(column), column, pa.array(values).cast(sales[column].type))
    assert noisy != sales
    assert answers(fit_before_the_cut(tmp_path / "noisy", noisy)) == answers(fit_before_the_cut(tmp_path / "plain", sales))


def test_the_same_data_and_seed_give_the_same_model(shop_folder: Path, forecaster_answers: list[object]) -> None:
    assert answers(refit(shop_folder, SMALL)) == forecaster_answers


def test_a_loaded_model_answers_exactly_as_before(forecaster: Forecaster, forecaster_answers: list[object], tmp_path: Path) -> None:
    forecaster.save(tmp_path / "saved")
    loaded = Forecaster.load(tmp_path / "saved")
    loaded.check()
    assert answers(loaded) == forecaster_answers


def test_a_model_that_no_longer_gives_its_saved_answers_is_invalid(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path)
    saved = artifact.load(tmp_path, "forecaster")
    arrays = {**saved.arrays, "price": saved.arrays["price"] * 2}
    artifact.save(tmp_path, "forecaster", saved.facts, arrays=arrays, boosters=saved.boosters, tables=saved.tables)
    with pytest.raises(InvalidArtifact, match="does not answer as it did when it was saved: its example_weeks are others"):
        Forecaster.load(tmp_path).check()


def saved_with_other_examples(forecaster: Forecaster, folder: Path, relative: float) -> Forecaster:
    """The forecaster, loaded from an artifact whose expected answers differ by a factor."""
    forecaster.save(folder)
    saved = artifact.load(folder, "forecaster")
    others = {name: array * (1 + relative) for name, array in saved.arrays.items() if name.startswith("example_")}
    artifact.save(folder, "forecaster", saved.facts, arrays={**saved.arrays, **others}, boosters=saved.boosters, tables=saved.tables)
    return Forecaster.load(folder)


def test_answers_that_differ_in_the_last_bits_are_the_same(forecaster: Forecaster, tmp_path: Path) -> None:
    saved_with_other_examples(forecaster, tmp_path, 1e-12).check()
    with pytest.raises(InvalidArtifact, match="does not answer as it did"):
        saved_with_other_examples(forecaster, tmp_path, 0.01).check()


def test_a_model_is_valid_on_another_processor(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path / "saved")
    check_on_another_processor("ml.forecaster.model.Forecaster", tmp_path / "saved")


def test_an_artifact_without_an_array_is_invalid(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path)
    saved = artifact.load(tmp_path, "forecaster")
    tables = {**saved.tables, "rows": saved.tables["rows"].drop_columns(["knots"])}
    artifact.save(tmp_path, "forecaster", saved.facts, arrays=saved.arrays, boosters=saved.boosters, tables=tables)
    with pytest.raises(InvalidArtifact, match="is not a forecaster that this code can read: 'knots'"):
        Forecaster.load(tmp_path)


def test_a_recipe_has_all_metrics_of_the_gate_and_beats_the_seasonal_naive(shop_folder: Path) -> None:
    metrics = measure(shop_folder, SMALL)
    checks = judge(parameters.read(ROOT / parameters.FILE).gate.rules("forecaster"), metrics, metrics, noise=0, limited=True).checks
    assert np.isfinite([(check.measured, check.required) for check in checks]).all()
    assert metrics["test.mase"] < metrics["test.seasonal_naive.mase"]
    assert metrics["test.sql"] < metrics["test.seasonal_naive.sql"]


@pytest.mark.parametrize("made", [measure, refit])
def test_a_history_that_is_too_short_is_rejected(made: Callable[[Path, Mapping[str, Any]], object], tmp_path: Path) -> None:
    with pytest.raises(HistoryTooShort, match="days of sales are too few: it takes 112 before the first that is forecast"):
        made(write_shop(tmp_path, daily_sales(110)), SMALL)
