"""The forecaster serves the champion: no response fails or mixes models during a swap, and the registry is not needed."""

from pathlib import Path

import grpc
import pytest

from lake.bucket import Bucket
from mesh.settings import MeshSettings
from ml.forecaster.forecasts import Scope
from ml.forecaster.model import Forecaster
from tests.concurrent_calls import concurrent_calls
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.services.errors import fails_with
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica


@pytest.fixture(scope="module")
def means(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> dict[str, list[float]]:
    """The means of the next two days that each of two registered versions forecasts."""
    return {
        replica.register(saved): [point.mean for point in Forecaster.load(saved).forecast(Scope(), "units", 2)] for saved in forecasters
    }


def test_before_a_model_is_promoted_calls_are_unavailable(staff: Planner) -> None:
    for call in (staff.forecast, staff.explain, staff.backtest):
        with fails_with(grpc.StatusCode.UNAVAILABLE, "NO_MODEL"):
            call()


def test_no_response_fails_or_mixes_models_during_swaps(replica: ForecasterReplica, staff: Planner, means: dict[str, list[float]]) -> None:
    first, second = means
    replica.promote(first)
    replica.wait_for(first)
    with concurrent_calls(lambda: staff.forecast(horizon_days=2), 1) as responses:
        for number in (second, first, second):
            replica.promote(number)
            replica.wait_for(number)
    responses.append(staff.forecast(horizon_days=2))
    assert {response.model_version for response in responses} == set(means)
    assert means[first] != means[second]
    for response in responses:
        assert [point.mean for point in response.points] == means[response.model_version]


def test_without_the_registry_it_keeps_serving_and_restarts(
    replica: ForecasterReplica,
    staff: Planner,
    means: dict[str, list[float]],
    mlflow: Mlflow,
    loop: Loop,
    mesh_settings: MeshSettings,
    catalog_address: str,
    database_url: str,
    lake: Bucket,
    tmp_path: Path,
) -> None:
    def start() -> ForecasterReplica:
        return ForecasterReplica(loop, mlflow.url, "hashiramart-forecaster", tmp_path, mesh_settings, catalog_address, database_url, lake)

    number = next(iter(means))
    replica.promote(number)
    replica.wait_for(number)
    other = start()
    other.wait_for(number)
    other.stop()
    with mlflow.stopped():
        assert staff.means(horizon_days=2) == means[number]
        restarted = start()
        restarted.wait_for(number)
        restarted.stop()
