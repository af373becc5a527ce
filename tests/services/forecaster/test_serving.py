"""The forecaster answers from the promoted model, whatever happens to the model or to the registry."""

import threading
from pathlib import Path

import grpc
import pytest

from hashiramart.forecaster.v1 import forecaster_pb2
from ml.forecaster.forecasts import Scope
from ml.forecaster.model import Forecaster
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.services.errors import fails_with
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica


@pytest.fixture(scope="module")
def means(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> dict[str, list[float]]:
    """What each of two registered versions expects of the next two days."""
    return {replica.put(saved): [point.mean for point in Forecaster.load(saved).forecast(Scope(), "units", 2)] for saved in forecasters}


def test_before_a_model_is_promoted_there_is_nothing_to_answer_from(staff: Planner) -> None:
    for call in (staff.forecast, staff.explain, staff.backtest):
        with fails_with(grpc.StatusCode.UNAVAILABLE, "NO_MODEL"):
            call()


def test_no_answer_fails_or_is_mixed_while_models_are_swapped(
    replica: ForecasterReplica, staff: Planner, means: dict[str, list[float]]
) -> None:
    first, second = means
    replica.promote(first)
    replica.wait_for(first)
    swapped = threading.Event()
    answers: list[forecaster_pb2.ForecastSalesResponse] = []

    def ask() -> None:
        while not swapped.is_set():
            answers.append(staff.forecast(horizon_days=2))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in (second, first, second):
            replica.promote(number)
            replica.wait_for(number)
    finally:
        swapped.set()
        asking.join()
    answers.append(staff.forecast(horizon_days=2))
    assert {answer.model_version for answer in answers} == set(means)
    assert means[first] != means[second]
    for answer in answers:
        assert [point.mean for point in answer.points] == means[answer.model_version]


def test_without_the_registry_it_goes_on_and_also_starts(
    replica: ForecasterReplica, staff: Planner, means: dict[str, list[float]], mlflow: Mlflow, loop: Loop, tmp_path: Path
) -> None:
    number = next(iter(means))
    replica.promote(number)
    replica.wait_for(number)
    other = ForecasterReplica(loop, mlflow.url, "hashiramart-forecaster", tmp_path)
    other.wait_for(number)
    other.stop()
    with mlflow.stopped():
        assert staff.means(horizon_days=2) == means[number]
        restarted = ForecasterReplica(loop, mlflow.url, "hashiramart-forecaster", tmp_path)
        restarted.wait_for(number)
        restarted.stop()
