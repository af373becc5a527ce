"""The backtest command."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.forecaster.backtest import main
from tests.ml.forecaster.panels import MONDAY, trend_and_week

Columns = dict[str, Any]
Backtest = Callable[..., tuple[list[dict[str, str]], Any]]
Failure = Callable[..., str]
DAY = np.timedelta64(1, "D")
LEVELS = ["q0.025", *(f"q0.{tenth}" for tenth in range(1, 10)), "q0.975"]


def long(values: np.ndarray, step: np.timedelta64 = DAY) -> Columns:
    """The columns of a panel file."""
    count, seen = values.shape
    times = (MONDAY.astype("datetime64[s]") + np.arange(seen) * step).tolist()
    names = np.repeat([f"s{index}" for index in range(count)], seen).tolist()
    return {"series": names, "time": times * count, "value": values.ravel().tolist()}


@pytest.fixture
def backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Backtest:
    """Writes a panel, runs the command, and returns the predictions and the scores."""

    def run(columns: Columns, *options: str) -> tuple[list[dict[str, str]], Any]:
        pq.write_table(pa.table(columns), tmp_path / "panel.parquet")
        main(["--panel", str(tmp_path / "panel.parquet"), "--out", str(tmp_path / "out.csv"), *options])
        with (tmp_path / "out.csv").open() as file:
            return list(csv.DictReader(file)), json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def failure(backtest: Backtest) -> Failure:
    """Runs the command on an invalid panel and returns its error message."""

    def message_of(columns: Columns, *options: str) -> str:
        with pytest.raises(SystemExit) as end:
            backtest(columns, *(options or ("--season", "7", "--horizon", "7", "--windows", "1")))
        return str(end.value)

    return message_of


def test_every_window_series_and_step_has_a_row(backtest: Backtest) -> None:
    rows, _ = backtest(long(trend_and_week(70, 3)), "--season", "7", "--horizon", "7", "--windows", "2")
    assert list(rows[0]) == ["origin", "series", "step", "mean", *LEVELS]
    expected = [(origin, f"s{index}", str(step)) for origin in ("2020-03-01", "2020-03-08") for index in range(3) for step in range(1, 8)]
    assert [(row["origin"], row["series"], row["step"]) for row in rows] == expected


def test_the_scores_beat_the_seasonal_naive(backtest: Backtest) -> None:
    values = np.random.default_rng(0).poisson(trend_and_week(200)).astype(float)
    _, scores = backtest(long(values), "--season", "7", "--horizon", "14", "--windows", "2")
    assert scores["mase"] < scores["seasonal_naive"]["mase"]
    assert scores["sql"] < scores["seasonal_naive"]["sql"]
    assert {"cov80", "cov95", "rmsse", "rmsse_total"} < set(scores)


@pytest.mark.parametrize(
    ("frequency", "season", "step"),
    [("hour", "24", np.timedelta64(1, "h")), ("week", "52", np.timedelta64(7, "D")), ("week", "1", np.timedelta64(7, "D"))],
)
def test_other_frequencies_and_seasons_work(backtest: Backtest, frequency: str, season: str, step: np.timedelta64) -> None:
    wave = 50 + 20 * np.sin(np.arange(120) * 2 * np.pi / max(int(season), 12)) + np.arange(4)[:, None]
    rows, scores = backtest(long(wave, step), "--frequency", frequency, "--season", season, "--horizon", "8", "--windows", "1")
    assert len(rows) == 4 * 8
    assert 0 <= scores["cov80"] <= 1


def test_covariates_static_columns_and_closures_are_used(backtest: Backtest) -> None:
    values = trend_and_week(140, 4)
    closed = np.zeros_like(values, dtype=int)
    closed[:, ::10] = closed[1, 137] = 1
    columns = long(values * (1 - closed)) | {"open": (1 - closed).ravel().tolist(), "kind": np.repeat(["a", "b"], 280).tolist()}
    options = ("--season", "7", "--horizon", "7", "--windows", "1", "--known", "open", "--static", "kind", "--shut", "open=0")
    rows, _ = backtest(columns, *options)
    assert {(row["series"], row["step"]) for row in rows if float(row["mean"]) == 0} == {("s1", "5")}


def test_a_missing_row_is_unknown_and_times_may_be_numbers(backtest: Backtest) -> None:
    columns = long(np.full((3, 90), 10.0) + np.arange(90) % 7)
    columns["time"] = list(range(90)) * 3
    present = [index for index in range(270) if index % 11]
    with_gaps = {name: [column[index] for index in present] for name, column in columns.items()}
    rows, _ = backtest(with_gaps, "--season", "7", "--horizon", "7", "--windows", "1")
    assert {row["origin"] for row in rows} == {"82"}
    assert all(float(row["mean"]) > 8 for row in rows)


def test_values_after_the_origin_do_not_change_the_forecasts(backtest: Backtest) -> None:
    values = np.random.default_rng(1).poisson(trend_and_week(100, 3)).astype(float)
    noisy = values.copy()
    noisy[:, -7:] = 1e5
    first, second = (backtest(long(each), "--season", "7", "--horizon", "7", "--windows", "1")[0] for each in (values, noisy))
    assert first == second


def test_a_missing_column_is_named(failure: Failure) -> None:
    columns = long(trend_and_week(60, 2))
    del columns["value"]
    assert "has no column value; it has series, time." in failure(columns)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("value", float("inf"), "column value, row 3 is not finite."),
        ("series", None, "column series, row 3 is missing."),
        ("time", None, "column time, row 3 is missing."),
    ],
)
def test_a_bad_cell_is_named_by_column_and_row(failure: Failure, column: str, value: object, message: str) -> None:
    columns = long(trend_and_week(60, 2))
    columns[column][2] = value
    assert message in failure(columns)


def test_a_time_off_the_grid_is_named(failure: Failure) -> None:
    columns = long(trend_and_week(60, 2))
    columns["time"][4] = columns["time"][4].replace(hour=5)
    assert "column time, row 5 is no whole number of days after 2020-01-06" in failure(columns)


def test_a_second_row_of_a_series_and_time_is_named(failure: Failure) -> None:
    columns = long(trend_and_week(60, 2))
    columns["time"][4] = columns["time"][3]
    assert "column time, row 5 was given before for its series." in failure(columns)


def test_text_in_the_value_column_is_rejected(failure: Failure) -> None:
    columns = long(trend_and_week(60, 2))
    columns["value"] = ["many"] * 120
    assert "column value is string: it must be numbers." in failure(columns)


def test_a_static_column_that_changes_is_rejected(failure: Failure) -> None:
    columns = long(trend_and_week(60, 2)) | {"kind": ["a"] * 9 + ["b"] * 111}
    options = ("--season", "7", "--horizon", "7", "--windows", "1", "--static", "kind")
    assert "column kind, row 1 differs from another row of its series." in failure(columns, *options)


def test_a_panel_too_short_for_its_windows_is_rejected(failure: Failure) -> None:
    assert "has 60 steps: 8 windows of 7 leave 4 before the first, and it takes 24." in failure(
        long(trend_and_week(60, 2)), "--season", "7", "--horizon", "7", "--windows", "8"
    )


def test_a_file_that_is_not_parquet_is_rejected(tmp_path: Path) -> None:
    panel, out = tmp_path / "panel.parquet", tmp_path / "out.csv"
    panel.write_text("series,time,value\n")
    with pytest.raises(SystemExit, match="is no Parquet file that can be read"):
        main(["--panel", str(panel), "--season", "7", "--horizon", "7", "--windows", "1", "--out", str(out)])
