"""Fixtures: the forecaster, served, the models of a small shop, and callers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hashiramart.forecaster.v1 import forecaster_pb2_grpc
from mesh.identity import Role
from mesh.server import Server
from ml.forecaster.train import refit
from tests.callers import Issuer
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.forecaster.shop import SMALL, write_shop
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica


@pytest.fixture(scope="session")
def forecasters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two saved forecasters of the same small shop, with different forecasts."""
    folder = tmp_path_factory.mktemp("forecasters")
    shop = write_shop(folder / "data")
    for seed in (1, 2):
        refit(shop, SMALL | {"seed": seed}).save(folder / str(seed))
    return folder / "1", folder / "2"


@pytest.fixture(scope="module")
def replica(loop: Loop, mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForecasterReplica]:
    """The forecaster, with an empty registry."""
    model = "hashiramart-forecaster"
    replica = ForecasterReplica(loop, mlflow.url, model, tmp_path_factory.mktemp("served"))
    yield replica
    replica.stop()
    mlflow.forget(model)


@pytest.fixture(scope="module")
def grpc_servicer(replica: ForecasterReplica) -> forecaster_pb2_grpc.ForecasterServiceServicer:
    return replica.servicer


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Callable[[forecaster_pb2_grpc.ForecasterServiceServicer, Server], None]:
    return forecaster_pb2_grpc.add_ForecasterServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[forecaster_pb2_grpc.ForecasterServiceStub]:
    return forecaster_pb2_grpc.ForecasterServiceStub


@pytest.fixture(scope="module")
def staff(grpc_stub: forecaster_pb2_grpc.ForecasterServiceStub, issuer: Issuer) -> Planner:
    return Planner(grpc_stub, issuer.metadata(Role.STAFF, "ann"))


@pytest.fixture(scope="module")
def customer(grpc_stub: forecaster_pb2_grpc.ForecasterServiceStub, issuer: Issuer) -> Planner:
    return Planner(grpc_stub, issuer.metadata(Role.CUSTOMER, "bob"))
