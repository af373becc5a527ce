"""Fixtures: the forecaster, served, the models of a small shop, and callers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from minio.credentials.providers import StaticProvider

from hashiramart.forecaster.v1 import accuracy_pb2_grpc, calendar_pb2_grpc, forecaster_pb2_grpc, reorder_pb2_grpc
from lake.bucket import Bucket, connect
from mesh.identity import Role
from mesh.server import Server
from mesh.settings import MeshSettings
from ml.forecaster.train import refit
from tests.callers import Issuer
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.forecaster.shop import SMALL, write_shop
from tests.services.database import migrate_services
from tests.services.forecaster.calendar_keeper import CalendarKeeper
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
def catalog_address() -> str:
    """The address of a catalog: by default, one that cannot be reached. A module may override it."""
    return "127.0.0.1:9"


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    """The URL of the forecaster's role in an empty database with its tables."""
    return migrate_services(postgres_url, "forecaster")["forecaster"]


@pytest.fixture(scope="module")
def lake() -> Bucket:
    """The bucket of the clean data: by default, one of a store that cannot be reached. A module may override it."""
    return connect("http://127.0.0.1:9", "us-east-1", "lake", StaticProvider("key", "secret"), timeout_seconds=1, retries=0)


@pytest.fixture(scope="module")
def replica(
    loop: Loop,
    mlflow: Mlflow,
    mesh_settings: MeshSettings,
    catalog_address: str,
    database_url: str,
    lake: Bucket,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ForecasterReplica]:
    """The forecaster, with an empty registry."""
    model = "hashiramart-forecaster"
    folder = tmp_path_factory.mktemp("served")
    replica = ForecasterReplica(loop, mlflow.url, model, folder, mesh_settings, catalog_address, database_url, lake)
    yield replica
    replica.stop()


@pytest.fixture(scope="module")
def grpc_servicer(replica: ForecasterReplica) -> forecaster_pb2_grpc.ForecasterServiceServicer:
    return replica.servicer


@pytest.fixture(scope="module")
def grpc_add_to_server(replica: ForecasterReplica) -> Callable[[forecaster_pb2_grpc.ForecasterServiceServicer, Server], None]:
    def add(servicer: forecaster_pb2_grpc.ForecasterServiceServicer, server: Server) -> None:
        forecaster_pb2_grpc.add_ForecasterServiceServicer_to_server(servicer, server)
        calendar_pb2_grpc.add_CalendarServiceServicer_to_server(replica.calendar, server)
        accuracy_pb2_grpc.add_ForecastAccuracyServiceServicer_to_server(replica.accuracy, server)
        reorder_pb2_grpc.add_ReorderServiceServicer_to_server(replica.reorder, server)

    return add


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[forecaster_pb2_grpc.ForecasterServiceStub]:
    return forecaster_pb2_grpc.ForecasterServiceStub


@pytest.fixture(scope="module")
def staff(grpc_stub: forecaster_pb2_grpc.ForecasterServiceStub, issuer: Issuer) -> Planner:
    return Planner(grpc_stub, issuer.metadata(Role.STAFF, "ann"))


@pytest.fixture(scope="module")
def customer(grpc_stub: forecaster_pb2_grpc.ForecasterServiceStub, issuer: Issuer) -> Planner:
    return Planner(grpc_stub, issuer.metadata(Role.CUSTOMER, "bob"))


@pytest.fixture(scope="module")
def calendar(grpc_channel: grpc.Channel, grpc_stub: forecaster_pb2_grpc.ForecasterServiceStub, issuer: Issuer) -> CalendarKeeper:
    """The calendar, as staff keep it."""
    return CalendarKeeper(calendar_pb2_grpc.CalendarServiceStub(grpc_channel), issuer.metadata(Role.STAFF, "ann"))
