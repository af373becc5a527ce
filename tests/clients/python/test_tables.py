"""Messages as tables."""

from typing import Any

import pytest

from hashiramart.forecaster.v1.forecaster_pb2 import ForecastSalesResponse
from hashiramart.jobs.v1.jobs_pb2 import JobEvent
from hashiramart_client.cli import tables

FORECAST: dict[str, Any] = {
    "points": [
        {"date": "2011-12-10", "day_count": 1, "mean": 10.123456789, "median": 9.0, "bands": [{"level": 80, "lower": 5.0, "upper": 15.0}]},
        {"date": "2011-12-11", "day_count": 1, "mean": 0.0, "median": 0.0, "bands": [{"level": 80, "lower": 0.0, "upper": 0.0}]},
    ],
    "history": [{"date": "2011-12-09", "day_count": 1, "value": 7.0}],
    "data_through_date": "2011-12-09",
    "model_version": "",
    "metric": "METRIC_UNITS",
}


def test_each_list_of_a_message_is_a_table_and_its_values_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_message(ForecastSalesResponse.DESCRIPTOR, FORECAST)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["data_through_date", "2011-12-09"],
        ["metric", "units"],
        [],
        ["points:"],
        ["DATE", "DAY_COUNT", "MEAN", "MEDIAN", "BANDS"],
        ["2011-12-10", "1", "10.1235", "9", "80", "5", "15"],
        ["2011-12-11", "1", "0", "0", "80", "0", "0"],
        [],
        ["history:"],
        ["DATE", "DAY_COUNT", "VALUE"],
        ["2011-12-09", "1", "7"],
    ]


def test_the_columns_that_name_a_thing_stay_when_there_is_little_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    tables.print_message(ForecastSalesResponse.DESCRIPTOR, {"points": FORECAST["points"]})
    header = capsys.readouterr().out.splitlines()[0]
    assert header.split() == ["DATE", "MEAN"]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"job": None, "log_line": {"number": 7, "time": "2011-12-09T12:50:00.25Z", "source": "driver", "text": "read\x07 10 lines"}},
            "number=7  2011-12-09T12:50:00Z  driver  read  10 lines",
        ),
        (
            {"job": {"id": "a", "state": "JOB_STATE_RUNNING", "stage": "cleaning sales", "progress": {"done_count": 3, "total_count": 10}}},
            "a  running  cleaning sales  done_count=3  total_count=10",
        ),
    ],
)
def test_an_event_of_a_stream_is_one_line(event: dict[str, Any], line: str) -> None:
    assert tables.line(JobEvent.DESCRIPTOR, event) == line
