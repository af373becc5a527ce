"""The project's own programs as processes: the services, the gateway and the jobs worker."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from stack import model_secrets, training
from stack.databases import Databases
from stack.engines import hadoop, jars, object_store, spark
from stack.engines.object_store import ObjectStore
from stack.processes import sources
from stack.processes.probes import grpc_serves, http_answers
from stack.processes.process import Action, Process, do_nothing
from stack.processes.supervisor import Program
from stack.settings import ROOT, Settings

HTTP = "http://"
# The services that call others in their own name. Each authenticates by a secret that auth has too.
CLIENTS = ("catalog", "recommender", "forecaster", "jobs")
# The shop's order system, which reports purchases from outside of the mesh.
ORDER_SYSTEM = "till"
SECRETS = (
    *(f"{service}_SECRET" for service in ("AUTH", "CATALOG", "RECOMMENDER", "FORECASTER", "JOBS")),
    *(f"{client.upper()}_SERVICE_SECRET" for client in (*CLIENTS, ORDER_SYSTEM)),
)
# Between a port of one replica and that of the next.
REPLICA_PORTS = 100
# Sums of floats depend on the number of threads, and training uses one. With few arenas, threads share the memory that they free.
MODEL_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True)
class Backends:
    """What the project's own programs connect to."""

    settings: Settings
    secrets: Mapping[str, str]
    """The stack's secrets by name."""
    databases: Databases
    store: ObjectStore
    replica: int = 1
    """The number of the replica whose processes are defined."""

    def own_name(self, name: str) -> str:
        """The name of something that each replica has for itself."""
        return name if self.replica == 1 else f"{name}-{self.replica}"

    def own_port(self, port: int) -> int:
        """The port of this replica, from that of the first."""
        return port + (self.replica - 1) * REPLICA_PORTS

    def target(self, port: int) -> str:
        """The address of all replicas of a service, from the port of the first."""
        hosts = [f"127.0.0.1:{port + index * REPLICA_PORTS}" for index in range(self.settings.replicas)]
        return hosts[0] if len(hosts) == 1 else f"ipv4:{','.join(hosts)}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.mlflow_port}"

    @property
    def model_key(self) -> str:
        """The public key of the pipeline."""
        return model_secrets.public_key(self.secrets[model_secrets.SIGNING_KEY])

    @property
    def mesh_environment(self) -> dict[str, str]:
        """What every process of the mesh reads."""
        return {
            "MESH_AUTH_ADDRESS": self.target(self.settings.auth_port),
            "SHOP_CURRENCY": self.settings.shop_currency,
            "SHOP_TIME_ZONE": self.settings.shop_time_zone,
        }


def services(backends: Backends, after: tuple[str, ...]) -> list[Process]:
    """The services and the gateway, all replicas.

    after: the names of the processes that services with tables depend on
    """
    return [process for each in _replicas(backends) for process in _services(each, after)]


def workers(backends: Backends, after: tuple[str, ...]) -> list[Process]:
    """The replicas of the jobs worker. If the cluster is not the stack's own, JOBS_YARN_URL and JOBS_WEBHDFS_URL have to be set."""
    return [_worker(each, after) for each in _replicas(backends)]


def _replicas(backends: Backends) -> list[Backends]:
    return [replace(backends, replica=number) for number in range(1, backends.settings.replicas + 1)]


def _services(backends: Backends, after: tuple[str, ...]) -> list[Process]:
    return [
        _auth(backends, after),
        _catalog(backends, after),
        _recommender(backends, after),
        _forecaster(backends, after),
        _jobs(backends, after),
        _gateway(backends),
    ]


def _worker(backends: Backends, after: tuple[str, ...]) -> Process:
    settings = backends.settings
    port = backends.own_port(settings.jobs_worker_port)
    # PATH is that of the shell that runs `up`; the worker sets its own for trainings.
    shared = training.environment(settings, backends.store) | spark.submit_environment(settings)
    del shared["PATH"]
    environment = {
        **shared,
        **_cluster_environment(settings),
        **_worker_environment(backends),
        **object_store.credentials_environment(spark.credentials_file(settings)),
        **backends.mesh_environment,
        "MESH_METRICS_LISTEN": f"127.0.0.1:{port}",
    }
    return Process(
        _program(backends.own_name("jobs-worker"), "services.jobs.worker", environment),
        {"JOBS_WORKER_PORT": port},
        memory_mb=100,
        install=jars.install_daemons,
        ready=partial(http_answers, port, "/metrics"),
        scheme=HTTP,
        prepare=partial(training.configure, settings, backends.store),
        # The history server's preparation writes the properties and credentials that the worker submits applications with.
        after=(*after, "history", "jobs"),
    )


def _auth(backends: Backends, after: tuple[str, ...]) -> Process:
    settings, secrets = backends.settings, backends.secrets
    environment = {
        "AUTH_SECRET": secrets["AUTH_SECRET"],
        "AUTH_SERVICE_SECRETS": json.dumps({client: secrets[f"{client.upper()}_SERVICE_SECRET"] for client in (*CLIENTS, ORDER_SYSTEM)}),
        "AUTH_SYSTEM_PERMISSIONS": json.dumps({ORDER_SYSTEM: ["events.write"]}),
        "AUTH_RECOMMENDER_ADDRESS": backends.target(settings.recommender_port),
        # Unless an SMTP server is set.
        "AUTH_MAIL_FOLDER": str(settings.stack_folder / "mail"),
    }
    return _service_with_tables(backends, "auth", settings.auth_port, environment, after)


def _catalog(backends: Backends, after: tuple[str, ...]) -> Process:
    environment = {name: backends.secrets[name] for name in ("CATALOG_SECRET", "CATALOG_SERVICE_SECRET")}
    return _service_with_tables(backends, "catalog", backends.settings.catalog_port, environment, after)


def _recommender(backends: Backends, after: tuple[str, ...]) -> Process:
    settings, secrets = backends.settings, backends.secrets
    environment = {
        "RECOMMENDER_SECRET": secrets["RECOMMENDER_SECRET"],
        "RECOMMENDER_SERVICE_SECRET": secrets["RECOMMENDER_SERVICE_SECRET"],
        "RECOMMENDER_CATALOG_ADDRESS": backends.target(settings.catalog_port),
        "RECOMMENDER_MLFLOW_URL": backends.mlflow_url,
        "RECOMMENDER_MLFLOW_PASSWORD": secrets[model_secrets.password("recommender")],
        "RECOMMENDER_MODEL_KEY": backends.model_key,
        "RECOMMENDER_MODEL_FOLDER": str(settings.data / backends.own_name("recommender")),
        # One who tries the shop has no order system at hand.
        "RECOMMENDER_SHOPPER_ORDERS_COUNT": "true",
        **MODEL_ENVIRONMENT,
    }
    # It watches the catalogue, with a token of its own from auth.
    after = (*after, "auth", "catalog")
    return _service_with_tables(backends, "recommender", settings.recommender_port, environment, after, memory_mb=300)


def _forecaster(backends: Backends, after: tuple[str, ...]) -> Process:
    """Depends on no other service: without MLflow it serves the model that it has on disk, without the catalog it names no products.

    Without the store, forecasts are not scored.
    """
    settings, store = backends.settings, backends.store
    environment = {
        "FORECASTER_CATALOG_ADDRESS": backends.target(settings.catalog_port),
        "FORECASTER_MLFLOW_URL": backends.mlflow_url,
        "FORECASTER_MLFLOW_PASSWORD": backends.secrets[model_secrets.password("forecaster")],
        "FORECASTER_MODEL_KEY": backends.model_key,
        "FORECASTER_MODEL_FOLDER": str(settings.data / backends.own_name("forecaster")),
        "FORECASTER_STORE_URL": store.endpoint,
        "FORECASTER_STORE_REGION": store.region,
        "FORECASTER_LAKE_BUCKET": settings.lake_bucket,
        **_reading_key(store),
        "FORECASTER_SECRET": backends.secrets["FORECASTER_SECRET"],
        "FORECASTER_SERVICE_SECRET": backends.secrets["FORECASTER_SERVICE_SECRET"],
        **MODEL_ENVIRONMENT,
    }
    return _service_with_tables(backends, "forecaster", settings.forecaster_port, environment, after, memory_mb=250)


def _jobs(backends: Backends, after: tuple[str, ...]) -> Process:
    settings, store = backends.settings, backends.store
    environment = {name: backends.secrets[name] for name in ("JOBS_SECRET", "JOBS_SERVICE_SECRET")}
    environment["JOBS_FORECASTER_ADDRESS"] = backends.target(settings.forecaster_port)
    environment |= {"JOBS_STORE_URL": store.endpoint, "JOBS_STORE_REGION": store.region, "JOBS_LAKE_BUCKET": settings.lake_bucket}
    environment |= _reading_key(store)
    if not settings.hadoop_conf_dir:
        environment["JOBS_RAW_ZONE_URL"] = hadoop.raw_root(settings)
        environment["JOBS_YARN_URL"] = _yarn_url(settings)
    return _service_with_tables(backends, "jobs", backends.settings.jobs_port, environment, after)


def _reading_key(store: ObjectStore) -> dict[str, str]:
    """A key that only reads the clean data."""
    access_key, secret_key = store.keys["training"]
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key, "AWS_SESSION_TOKEN": ""}


def _gateway(backends: Backends) -> Process:
    settings = backends.settings
    port = backends.own_port(settings.gateway_port)
    ports = {
        "AUTH": settings.auth_port,
        "CATALOG": settings.catalog_port,
        "RECOMMENDER": settings.recommender_port,
        "FORECASTER": settings.forecaster_port,
        "JOBS": settings.jobs_port,
    }
    environment = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        **{f"GATEWAY_{service}_ADDRESS": backends.target(first) for service, first in ports.items()},
    }
    return Process(
        _program(backends.own_name("gateway"), "gateway", environment),
        {"GATEWAY_PORT": port},
        memory_mb=100,
        ready=partial(http_answers, port, "/healthz"),
        scheme=HTTP,
    )


def _service_with_tables(
    backends: Backends, name: str, port: int, environment: Mapping[str, str], after: tuple[str, ...], memory_mb: int = 100
) -> Process:
    """A service with tables in PostgreSQL, which are migrated before each start."""
    environment = {**environment, **backends.databases.environment(name)}
    return _service(backends, name, port, environment, after=after, memory_mb=memory_mb, prepare=backends.databases.migrate)


def _service(
    backends: Backends,
    name: str,
    port: int,
    environment: Mapping[str, str],
    *,
    memory_mb: int,
    after: tuple[str, ...] = (),
    prepare: Action = do_nothing,
) -> Process:
    prefix, port = name.upper(), backends.own_port(port)
    environment = {**environment, **backends.mesh_environment, f"{prefix}_LISTEN": f"127.0.0.1:{port}"}
    return Process(
        _program(backends.own_name(name), f"services.{name}", environment),
        {f"{prefix}_PORT": port},
        memory_mb=memory_mb,
        ready=partial(grpc_serves, port),
        after=after,
        prepare=prepare,
    )


def _program(name: str, module: str, environment: Mapping[str, str]) -> Program:
    """Runs a module until SIGTERM or the end of the parent process. A change of the code changes the program."""
    command = ["setpriv", "--pdeathsig=TERM", "--", sys.executable, "-m", module]
    return Program(name, command, {**environment, "CODE_SHA256": sources.code_digest()})


def _cluster_environment(settings: Settings) -> dict[str, str]:
    """The addresses of the stack's own HDFS and YARN; nothing if it uses another cluster."""
    if settings.hadoop_conf_dir:
        return {}
    return {
        "JOBS_YARN_URL": _yarn_url(settings),
        "JOBS_WEBHDFS_URL": f"http://127.0.0.1:{settings.namenode_port}",
        "LANDING_RAW_ROOT": hadoop.raw_root(settings),
    }


def _yarn_url(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.resourcemanager_port}"


def _worker_environment(backends: Backends) -> dict[str, str]:
    """The worker's own settings, but for its cluster."""
    settings, store = backends.settings, backends.store
    return {
        "JOBS_DATABASE_URL": backends.databases.url_of("jobs"),
        "JOBS_SPARK_HOME": str(spark.package()),
        "JOBS_HADOOP_JARS": str(jars.DAEMONS),
        "JOBS_SPARK_PROPERTIES": str(spark.submit_configuration(settings)),
        "JOBS_STORE_URL": store.endpoint,
        "JOBS_STORE_REGION": store.region,
        "JOBS_LAKE_BUCKET": settings.lake_bucket,
        "JOBS_CODE_COMMIT": _commit(),
        "JOBS_RECOMMENDER_ADDRESS": backends.target(settings.recommender_port),
        # A training on one machine may follow what was shown by minutes.
        "JOBS_EXPOSURE_DELAY": "PT0S",
        "JOBS_SERVICE_SECRET": backends.secrets["JOBS_SERVICE_SECRET"],
        "JOBS_TRAINING_FOLDER": str(settings.stack_folder / backends.own_name("training")),
        "JOBS_TRAINING_CREDENTIALS_FILE": str(training.credentials_file(settings)),
        "JOBS_MLFLOW_URL": backends.mlflow_url,
        "JOBS_MLFLOW_PASSWORD": backends.secrets[model_secrets.password("training")],
        "JOBS_SIGNING_KEY": backends.secrets[model_secrets.SIGNING_KEY],
    }


def _commit() -> str:
    """The commit of the checkout, or nothing outside of a git checkout."""
    try:
        return subprocess.run(["git", "rev-parse", "HEAD"], check=False, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""
