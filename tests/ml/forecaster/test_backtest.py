"""The backtest command."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ml.forecaster.backtest import main
from ml.forecaster.panel import Frequency
from ml.forecaster.panel_errors import InvalidPanel
from ml.forecaster.panel_times import Calendar, read_calendar
from tests.ml.forecaster.panels import MONDAY, panel, trend_and_week

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
    _, scores = backtest(long(values), "--season", "7", "--horizon", "14", "--windows", "1")
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


WEEKLY = ("--season", "7", "--horizon", "7", "--windows", "1")


def noisy(days: int = 100) -> np.ndarray:
    return np.random.default_rng(2).poisson(trend_and_week(days, 2)).astype(float)


def test_text_is_text_however_the_file_holds_it_and_unused_categories_are_no_series(backtest: Backtest) -> None:
    columns = long(noisy()) | {"kind": ["a"] * 100 + ["b"] * 100}
    expected = backtest(columns, *WEEKLY, "--static", "kind")
    names = pa.DictionaryArray.from_arrays([0] * 100 + [2] * 100, ["s0", "gone", "s1"])
    for series, kind in ((names, pa.large_string()), (pa.array(columns["series"], pa.string_view()), pa.string_view())):
        held = columns | {"series": series, "kind": pa.array(columns["kind"], kind)}
        assert backtest(held, *WEEKLY, "--static", "kind") == expected


def test_midnights_of_a_zone_and_dates_as_digits_are_days(backtest: Backtest) -> None:
    columns = long(noisy())
    expected = backtest(columns, *WEEKLY)
    text = [str(time.date()) for time in columns["time"]]
    zoned = pc.assume_timezone(pa.array(columns["time"], pa.timestamp("us")), "Europe/Berlin")
    for times in (zoned, [int(day.replace("-", "")) for day in text], [day.replace("-", "") for day in text]):
        assert backtest(columns | {"time": times}, *WEEKLY) == expected


def calendar_of(times: Any, frequency: Frequency | None = None) -> Calendar:
    return read_calendar(Path("panel.parquet"), "time", pa.array(np.array(times, dtype="datetime64[s]")), frequency)


@pytest.mark.parametrize(
    ("times", "frequency"),
    [
        (np.arange("2020-01-01T00", "2020-02-01T00", dtype="datetime64[h]"), "hour"),
        (np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]"), "day"),
        (np.arange("2020-01-03", "2022-01-01", 7, dtype="datetime64[D]"), "week"),
        (np.arange("2020-01", "2023-01", dtype="datetime64[M]"), "month"),
        (np.arange("2020-02", "2023-02", dtype="datetime64[M]").astype("datetime64[D]") - 1, "month"),
        (np.arange("2020-01", "2024-01", 3, dtype="datetime64[M]"), "quarter"),
    ],
)
def test_the_frequency_is_found_whatever_is_missing(times: Any, frequency: str) -> None:
    times = np.array(times, dtype="datetime64[s]")
    calendar = calendar_of(np.delete(times, 5))
    assert calendar.frequency == frequency
    expected = times if frequency in ("hour", "day", "week") else np.delete(times, 5)
    assert set(expected) <= set(calendar.times)
    assert len(calendar.times) == len(times)
    assert 5 not in calendar.step


def test_the_missing_end_of_a_month_is_labelled_as_the_others_are() -> None:
    ends = np.arange("2020-02", "2021-02", dtype="datetime64[M]").astype("datetime64[D]") - 1
    assert (calendar_of(np.delete(ends, 1)).times == ends).all()


@pytest.mark.parametrize(
    "times", [np.arange("2000", "2020", dtype="datetime64[Y]"), np.arange("2020-01-01", "2022-01-01", 28, dtype="datetime64[D]")]
)
def test_a_frequency_that_is_not_known_is_refused(times: Any) -> None:
    with pytest.raises(InvalidPanel, match="hours apart, which is none of hour, day, week, month, quarter"):
        calendar_of(times)


def test_a_frequency_that_was_found_is_told(backtest: Backtest) -> None:
    assert backtest(long(noisy(60)), *WEEKLY)[1]["frequency"] == "day"


@pytest.mark.parametrize("stray", ["1899-12-30", "2050-01-01"])
def test_a_stray_date_is_named(failure: Failure, stray: str) -> None:
    columns = long(trend_and_week(60, 2))
    columns["time"][70] = np.datetime64(stray, "s").item()
    assert f"column time, row 71 is {stray}T00:00:00, far from all other times." in failure(columns)


def test_negative_values_are_named(failure: Failure) -> None:
    columns = long(trend_and_week(60, 2))
    columns["value"][3] = -1.0
    assert "column value, row 4 is negative, which no demand is." in failure(columns)


def test_a_panel_of_zeros_is_forecast_at_zero_and_scored_with_null(backtest: Backtest) -> None:
    rows, scores = backtest(long(np.zeros((2, 100))), *WEEKLY)
    assert {float(row[column]) for row in rows for column in ("mean", *LEVELS)} == {0.0}
    assert len(rows) == 14
    assert scores["mase"] is None


def test_a_missing_output_folder_is_found_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot be written: there is no folder"):
        main(["--panel", str(tmp_path / "none.parquet"), *WEEKLY, "--out", str(tmp_path / "none" / "out.csv")])


def test_days_without_stock_are_no_days_without_demand(backtest: Backtest) -> None:
    rng = np.random.default_rng(3)
    demand = rng.poisson(12, (8, 196)).astype(float)
    in_stock = (rng.random(demand.shape) > 0.4) | (np.arange(196) >= 182)
    columns = long(np.where(in_stock, demand, 0.0)) | {"in_stock": in_stock.astype(int).ravel().tolist()}
    rows, _ = backtest(columns, "--season", "7", "--horizon", "14", "--windows", "1", "--known", "in_stock")
    assert np.mean([float(row["mean"]) for row in rows]) == pytest.approx(12, abs=1)
    assert np.mean([float(row["q0.1"]) for row in rows]) == pytest.approx(8, abs=1.5)
    assert np.mean([float(row["q0.9"]) for row in rows]) == pytest.approx(17, abs=1.5)


def test_a_panel_of_zeros_shorter_than_eight_weeks_is_forecast_at_zero(backtest: Backtest) -> None:
    rows, _ = backtest(long(np.zeros((2, 40))), *WEEKLY)
    assert {float(row[column]) for row in rows for column in ("mean", *LEVELS)} == {0.0}


def test_a_series_of_zeros_among_others_a_constant_one_and_a_new_one_have_forecasts(backtest: Backtest) -> None:
    values = trend_and_week(120, 4)
    values[0], values[1] = 0.0, 5.0
    columns = long(values)
    kept = [index for index in range(480) if index < 360 or index >= 360 + 112]
    rows, _ = backtest({name: [column[index] for index in kept] for name, column in columns.items()}, *WEEKLY)
    means = {name: [float(row["mean"]) for row in rows if row["series"] == name] for name in ("s0", "s1", "s3")}
    assert means["s0"] == [0.0] * 7
    assert means["s1"] == pytest.approx([5.0] * 7, rel=0.1)
    assert all(0 < mean < 200 for mean in means["s3"])


def test_six_weeks_on_which_a_shop_was_shut_are_no_weeks_without_demand(backtest: Backtest) -> None:
    values = np.random.default_rng(4).poisson(trend_and_week(200, 3)).astype(float)
    values[:, 140:182] = 0
    rows, _ = backtest(long(values), *WEEKLY)
    made = np.mean([float(row["mean"]) for row in rows])
    assert made == pytest.approx(values[:, -7:].mean(), rel=0.15)


def test_days_without_a_sale_of_series_that_rarely_sell_are_not_closed() -> None:
    # All four rest on every seventh day: as closed days, these would raise the mean by a sixth.
    values = np.random.default_rng(5).poisson(0.5, (4, 300)).astype(float)
    assert not panel(values).closures().any()
    values[:, 140:182] = 0
    assert panel(values).closures().sum() == pytest.approx(4 * 42, abs=8)


def test_a_season_longer_than_the_history_is_none(backtest: Backtest) -> None:
    values = 50 + np.arange(60) + np.zeros((3, 1))
    rows, scores = backtest(long(values, np.timedelta64(7, "D")), "--season", "52", "--horizon", "10", "--windows", "1")
    assert len(rows) == 30
    assert scores["mase"] is not None


def test_the_report_says_what_was_chosen_and_by_which_errors(backtest: Backtest, tmp_path: Path) -> None:
    values = np.random.default_rng(6).poisson(trend_and_week(150)).astype(float)
    backtest(long(values[:3]), "--season", "7", "--horizon", "7", "--windows", "2", "--report", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text())
    assert [window["origin"] for window in report["windows"]] == ["2020-05-20", "2020-05-27"]
    for window in report["windows"]:
        assert sum(window["median_weights"].values()) == pytest.approx(1, abs=1e-3)
        errors = window["scaled_absolute_error"]
        assert errors["mixture"] <= 1.02 * min(errors.values())
