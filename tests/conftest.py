"""What every test can ask for: the engines."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from tests.distribution import IdleWorkers, UnitScheduling, unit_number, worker_count
from tests.engines.hadoop import Hdfs, Yarn
from tests.engines.mlflow import Mlflow
from tests.engines.postgres import PgBouncer, Postgres
from tests.engines.stores import Minio, SeaweedFS, Store

ROOT = Path(__file__).parent
# Fixtures that start an engine, and folders whose tests start processes of the stack by themselves.
ENGINES = {"hdfs", "minio", "mlflow", "object_store", "pgbouncer", "postgres", "seaweedfs", "spark", "yarn"}
STACKS = {ROOT / "e2e", ROOT / "stack" / "containers"}

# A run of the suite tries the same examples each time, however long they take under load; `make fuzz` looks for others.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")

# Processes that tests start keep what they have compiled, as those of `make` do. Importing the libraries takes twice as long otherwise.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Spark reads this when an application is submitted. On a few lines, its JVMs end before their optimising compiler has paid.
os.environ["SPARK_SUBMIT_OPTS"] = "-XX:TieredStopAtLevel=1 -Dspark.executor.defaultJavaOptions=-XX:TieredStopAtLevel=1"

# A shell that starts a command in the background lets it ignore this signal, and all that the command starts inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if ENGINES.intersection(fixtures) or STACKS.intersection(item.path.parents):
            item.add_marker("engine")
    items.sort(key=lambda item: unit_number(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return worker_count(engines="not engine" not in config.option.markexpr)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    # The workers share the cores, where the threads of a matrix product would only wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.pluginmanager.register(IdleWorkers())
    return UnitScheduling(config, log)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server for all tests of this process. One that stops it starts it again: `with postgres.stopped(): ...`."""
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def postgres_url(postgres: Postgres) -> str:
    """An empty database for the tests of one module; `postgres.create_database()` makes further ones."""
    return postgres.create_database()


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode, before `postgres`: `pgbouncer.url(postgres_url)` is the way through it."""
    with PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres) as pooler:
        yield pooler


@pytest.fixture(scope="session")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    """MinIO for all tests of this process."""
    with Minio(tmp_path_factory.mktemp("minio")) as store:
        yield store


@pytest.fixture(scope="module")
def minio(minio_server: Minio) -> Minio:
    """MinIO with the stack's buckets, empty at first: `minio.client("spark")` is the store as that user sees it."""
    minio_server.empty()
    return minio_server


@pytest.fixture(scope="session")
def seaweedfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """SeaweedFS for all tests of this process."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(scope="module")
def seaweedfs(seaweedfs_server: SeaweedFS) -> SeaweedFS:
    """SeaweedFS with the stack's buckets, empty at first."""
    seaweedfs_server.empty()
    return seaweedfs_server


@pytest.fixture(scope="module", params=["minio", "seaweedfs"])
def object_store(request: pytest.FixtureRequest) -> Store:
    """Each of the stores in turn."""
    store: Store = request.getfixturevalue(request.param)
    return store


@pytest.fixture(scope="session")
def mlflow_server(postgres: Postgres, minio_server: Minio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """MLflow for all tests of this process."""
    with Mlflow(tmp_path_factory.mktemp("mlflow"), postgres.create_database(), minio_server.store) as server:
        yield server


@pytest.fixture(scope="module")
def mlflow(mlflow_server: Mlflow, minio: Minio) -> Mlflow:
    """MLflow on `postgres` and `minio`, without models at first: `mlflow.url` is where it is."""
    mlflow_server.forget_models()
    return mlflow_server


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    """An HDFS for all tests of this process, empty at first."""
    with Hdfs(tmp_path_factory.mktemp("hadoop")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def yarn(hdfs: Hdfs, minio_server: Minio) -> Iterator[Yarn]:
    """A YARN on `hdfs`, whose applications write to `minio`."""
    with Yarn(hdfs, minio_server.store) as cluster:
        yield cluster
